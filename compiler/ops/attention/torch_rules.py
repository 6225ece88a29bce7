"""Mask expressions as functions of a file: which helpers they call, and which tensors they are handed."""

from collections.abc import Iterable, Mapping, Sequence

from compiler.emit.torch.masks import BLOCKS, rule
from compiler.emit.torch.writer import RUNTIME, Writer
from compiler.masks.facts import PREFIX, Mask, holds, input_names, pair_names, row_names


def rule_function(w: Writer, hint: str, mask: Mask, total: str, names: Iterable[str] = (), slots: bool = False) -> str:
    """The name of a function (i, j, a tensor for each of `names`), true where key j is visible to query i.

    names: inputs that the mask reads, and atoms that the layer works out. total, slots: as for `rule`.
    """
    given = {name: f"given_{n}" for n, name in enumerate(names)}
    if holds(mask, "by_head") and (holds(mask, *BLOCKS) or input_names(mask)):
        w.helper("by_heads", "compiler.ops.attention.torch_helpers")
    if slots and row_names(mask):
        w.helper("at_slots", f"{RUNTIME}.prompt")
    if slots and pair_names(mask):
        w.helper("pairs_at", f"{RUNTIME}.prompt")
    return w.function(hint, ("i", "j", *given.values()), rule(mask, total, given, slots))


def places(w: Writer, names: Sequence[str], first: int) -> str:
    """What a template calls such a function with besides i and j, its values from {first} on: ", {first}, ..."."""
    return "".join(f", {kept(w, name, f'{{{first + n}}}')}" for n, name in enumerate(names))


def by_name(w: Writer, named: Mapping[str, str]) -> dict[str, str]:
    """The same for code of a layer: input -> variable of its value. named: input -> value of the graph."""
    return {
        name: w.once(name, kept(w, name, "{0}"), value) if w.steps and name == PREFIX else w.variable(value)
        for name, value in named.items()
    }


def kept(w: Writer, name: str, given: str) -> str:
    """An expression of an input where the model steps: a prefix is that of the first step."""
    if not w.steps or name != PREFIX:
        return given
    w.helper("kept_prompt", f"{RUNTIME}.prompt")
    return f"kept_prompt({given}, state)"
