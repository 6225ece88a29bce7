"""What a pass is handed: its arguments, the checks that they fit, masks of padding turned into `real` tokens.

A check costs a few comparisons of shapes; the values of ids are looked at once a call.
"""

import re
from dataclasses import dataclass
from typing import Any

from compiler.emit.torch.names import comment, identifier, quoted, unique
from compiler.emit.torch.source import helper_names
from compiler.emit.torch.writer import RUNTIME, Writer
from compiler.ir.graph import Graph, Node
from compiler.ir.program import Program, calls
from compiler.ir.types import TensorType
from compiler.masks.facts import PREFIX

TABLES = ("embedding", "adaptive_embedding")  # what reads rows by whole numbers

SUM = re.compile(r"\w+(\+\w+)*")  # lengths that a check can work out


@dataclass(frozen=True)
class Argument:
    """One tensor that a method takes: for which input of the program, and what is said of it."""

    name: str
    required: bool
    told: str  # "(B, S) whole numbers, 0 to 96"
    kind: str  # "ids": the rows of the pass; "mask": their padding; "positions"; "places": read as such; "other"
    shape: tuple[int | str, ...] = ()  # of an example
    below: int = 0  # whole numbers below this, 0: numbers of the model's type

    @property
    def annotation(self) -> str:
        return "Tensor" if self.required else "Tensor | None"


def rows(graph: Graph, value: str) -> int | None:
    """Whole numbers below this are allowed, None: any."""
    sizes = [user.attrs["rows"] - user.attrs.get("offset", 0) for user in graph.users(value) if user.op in TABLES]
    return min(sizes, default=None)


def read_inputs(w: Writer, names: list[str], nodes: list[Node], taken: set[str]) -> list[Argument]:
    """Arguments for the main inputs `names`, ids first, and for the positions that `nodes` let a caller give.

    Writes the checks. taken: arguments of another pass, whose names these ones leave alone.
    """
    program, main = w.file.program, w.graph
    arguments: list[Argument] = []

    def argue(name: str, required: bool, told: str, kind: str, *more: Any) -> str:
        others = {*(a.name for a in arguments), *w.names.values(), *taken, *helper_names()}
        variable = unique(identifier(name, "input"), others)
        arguments.append(Argument(variable, required, told, kind, *more))
        return variable

    sizes = _sizes(w, names)
    for name in names:
        stand_in, type_ = program.optional.get(name), main.inputs[name]
        marks = w.steps and stand_in is None and type_.shape == ("B", "T")  # of a step's tokens; the state has the rest
        type_ = TensorType(type_.dtype, ("B", "S")) if marks else type_
        shape, most = comment(f"({', '.join(map(str, type_.shape))})"), rows(main, name)
        if stand_in == "ones":
            argument = argue(name, False, f"{shape}, 0 at padding", "mask")
            _real(w, name, argument)
            continue
        what = "numbers of the model's type" if type_.dtype == "float" else "whole numbers"
        what += "" if most is None else f", 0 to {most - 1}"
        first = not arguments
        example = (type_.shape if marks else _example(main, name), 0 if type_.dtype == "float" else most or 2)
        sort = "ids" if first else "places" if read_as_places(program, name) else "other"
        argument = argue(name, stand_in is None, f"{shape} {what}", sort, *example)
        w.names[name] = argument
        if name == PREFIX and w.steps:
            w.file.helper("prompt_rows", f"{RUNTIME}.prompt")
            w.line(f"{argument} = prompt_rows({argument}, {w.names[names[0]]}, {quoted(argument)}, state)")
            continue
        if stand_in == "zeros":
            like = w.names[program.meta["ids"][name]]
            w.line(f"{argument} = torch.zeros_like({like}) if {argument} is None else {argument}")
        if most is not None:
            w.file.helper("check_ids", f"{RUNTIME}.base")
            w.line(f"check_ids({argument}, {most}, {quoted(argument)})")
        if sizes or not first or type_.dtype == "float":
            _check_shape(w, argument, type_, sizes, absent=stand_in == "empty")
        if marks:
            w.file.helper("rows_so_far", f"{RUNTIME}.prompt")
            w.names[name] = w.local(f"all_{argument}")
            w.line(f"{w.names[name]} = rows_so_far({argument}, {quoted(argument)}, state)")
        elif w.steps and type_.shape == ("B", "S", "T"):
            w.file.helper("check_pairs", f"{RUNTIME}.prompt")
            w.line(f"check_pairs({argument}, {w.names[names[0]]}, {quoted(argument)}, state)")
    for node in nodes:
        if node.op == "positions" and node.attrs.get("given"):
            required = node.attrs["counts"] == "input"
            argument = argue(node.attrs["given"], required, "(B, S) whole numbers", "positions", ("B", "S"), 2)
            w.inputs_given[node.attrs["given"]] = argument
            w.file.helper("check_places", f"{RUNTIME}.base")
            w.line(f"check_places({argument}, {w.names[node.inputs[0]]}, {quoted(argument)}, {required})")
    return arguments


def with_usual(arguments: list[Argument]) -> list[Argument]:
    """The same, and a mask and positions under their usual names where nothing reads any: a caller may give them."""
    rows, kinds = arguments[0].name, {a.kind for a in arguments}
    for kind, word, end in (("mask", "attention_mask", "mask"), ("positions", "position_ids", "positions")):
        usual = rows.replace("input_ids", word) if "input_ids" in rows else f"{rows}_{end}"
        if kind not in kinds:
            name = unique(usual, {a.name for a in arguments})
            arguments = [*arguments, Argument(name, False, "not read", kind)]
    return arguments


def read_as_places(program: Program, name: str) -> bool:
    """Whether a rotation inside the layers turns by this input."""
    for node in program.main.users(name):
        for call in calls(node) if node.op == "repeat" else ():
            block = program.blocks[call.block]
            inside = list(block.inputs)[node.inputs.index(name)]
            if any(user.op == "rope" and user.inputs[1] == inside for user in block.users(inside)):
                return True
    return False


def _example(main: Graph, name: str) -> tuple[int | str, ...]:
    """The shape of an input, where a wave is long enough to become eight rows."""
    shape, value, chain = main.inputs[name].shape, name, []
    while (user := next((u for u in main.users(value) if u.op != "join_masks"), None)) is not None:
        chain.append(user)
        value = user.outputs[0]
    convolutions = [node.attrs for node in chain if node.op == "strided_conv"]
    samples = 8
    for attrs in reversed(convolutions):
        samples = (samples - 1) * attrs["stride"] + attrs["kernel"]
    return (shape[0], samples, *shape[2:]) if convolutions else shape


def _sizes(w: Writer, names: list[str]) -> str:
    """The variable of the sizes that the inputs of a pass share, "" where there is but one input."""
    main, handed = w.graph, [v for v in w.names if len(w.type(v).shape) > 1]
    shaped = [n for n in names if w.file.program.optional.get(n) != "ones"]
    if len(shaped) < 2 and not handed and all(main.inputs[n].dtype != "float" for n in shaped):
        return ""
    known: dict[str, str] = {}
    for value in handed:  # what the source pass made tells its own lengths
        for axis, dim in enumerate(w.type(value).shape):
            if isinstance(dim, str) and dim.isidentifier() and w.type(value).dtype == "float":
                known.setdefault(dim, f"{w.names[value]}.shape[{axis}]")
    variable = w.local("sizes")
    inside = ", ".join(f"{quoted(dim)}: {size}" for dim, size in known.items())
    w.line(f"{variable} = {{{inside}}}" if inside else f"{variable}: dict[str, int] = {{}}")
    return variable


def _check_shape(w: Writer, argument: str, type_: TensorType, sizes: str, absent: bool = False) -> None:
    """absent: it may be."""
    w.file.helper("check_shape", f"{RUNTIME}.base")
    dtype = ", self.dtype" if type_.dtype == "float" else ""
    check = f"check_shape({argument}, {quoted(argument)}, {dims(type_, w.steps)}, {sizes or '{}'}{dtype})"
    w.lines += [f"if {argument} is not None:", f"    {check}"] if absent else [check]


def dims(type_: TensorType, steps: bool = False) -> str:
    """A shape as a tuple, None for a length that a check cannot work out. steps: T are more tokens than S."""
    shape = [d if d != "T" else None if steps else "S" for d in type_.shape]
    found = [
        quoted(d) if isinstance(d, str) and SUM.fullmatch(d) else str(d if isinstance(d, int) else None) for d in shape
    ]
    return f"({', '.join(found)}{',' if len(found) == 1 else ''})"


def _real(w: Writer, name: str, argument: str) -> None:
    """A mask of padding becomes the variable `real`."""
    ids, real = w.names[w.file.program.meta["ids"][name]], w.local("real")
    w.names[name] = real
    reader, state = ("real_new_tokens", ", state") if w.steps else ("real_tokens", "")
    w.file.helper(reader, f"{RUNTIME}.{'state' if w.steps else 'base'}")
    w.line(f"{real} = {reader}({argument}, {ids}, {quoted(argument)}{state})", "(B, S), None: no padding")


def check_positions(w: Writer, node: Node) -> None:
    """Tables of positions end somewhere: say so before they are read."""
    if node.op != "positions":
        return
    most = rows(w.graph, node.outputs[0])
    if most is not None:
        w.file.helper("check_ids", f"{RUNTIME}.base")
        w.line(f'check_ids({w.names[node.outputs[0]]}, {most}, "a position")')
