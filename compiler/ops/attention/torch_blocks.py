"""Masks that a layer makes for itself, in PyTorch: blocks of keys that are drawn, or chosen by their scores, and masks
along an axis of a grid."""

from compiler.emit.torch.masks import BLOCKS, atom, atoms, causal_window, is_full
from compiler.emit.torch.writer import RUNTIME, Writer
from compiler.ir.graph import Node
from compiler.masks.drawn import PAPER_LENGTHS, tables
from compiler.masks.facts import PREFIX, Mask, by_inputs, holds, input_names
from compiler.ops.attention.torch_rules import by_name, rule_function

HELPERS = "compiler.ops.attention.torch_helpers"


def in_layer(w: Writer, node: Node) -> bool:
    """Whether the mask is no value that all layers share: blocks, or queries along another axis than the tokens'."""
    mask = node.attrs["mask"]
    if between(w, node):
        return not by_inputs(mask)
    if is_full(mask) and w.attr(node, "empty_rows") != "all":
        return False
    shapes = [w.type(v).shape for v in node.inputs[:2] if v]  # (B, H, S, D), or (B, S, H·D) and latents (B, S, R)
    q, *k = (shape[2] if len(shape) == 4 else shape[1] for shape in shapes)
    return holds(mask, *BLOCKS) or (w.type(w.stream).shape[1] != q and k in ([], [q]))


def between(w: Writer, node: Node) -> bool:
    """Whether keys are no rows of the stream that asks: another stack's, or as many as the queries are not."""
    apart = node.op == "attention" and len({w.type(v).shape[2] for v in node.inputs[:2]}) > 1
    return bool(node.attrs.get("cross")) or apart


def known(mask: Mask) -> Mask:
    """What holds before the blocks are known: in a model that steps that nothing later is seen, but for a prefix."""
    if not holds(mask, *BLOCKS):
        return mask
    least: Mask = {"type": "full" if PREFIX in input_names(mask) else "causal"}
    if mask["type"] != "and":
        return least
    rest: Mask = {"type": "and", "of": [m for m in mask["of"] if not holds(m, *BLOCKS)]}
    return rest if causal_window(rest)[0] else least


def narrowed(
    w: Writer,
    node: Node,
    qk: tuple[str, str],
    key_mask: str,
    named: dict[str, str],
    given: tuple[str, str, str],
) -> tuple[str, str]:
    """(mask, causal) with the blocks. qk: variables, the keys with those of the state; given: span, mask, causal of
    what is known before; named: mask input -> value of the graph."""
    expression, (span, mask, causal) = node.attrs["mask"], given
    if not in_layer(w, node):
        return mask, causal
    i, j, real = ("i", "j", w.variable(key_mask) if key_mask else "None")
    apart = between(w, node)
    if apart:
        w.helper("slots_between", HELPERS)
        i, j = w.local("i"), w.local("j")
        w.line(f"{i}, {j} = slots_between({qk[0]}, {qk[1]})", "(S, 1), (1, K)")
    elif span:
        i, j, real = f"{span}.i[:, None]", f"{span}.j[None, :]", f"{span}.real"
    parts = {atom(a): block_atom(w, a, qk, (i, j, real)) for a in atoms(expression)}
    arguments = by_name(w, named) | parts
    total = "i[-1] + 1" if span else "j.shape[1]"
    sees = rule_function(w, "sees", expression, total, arguments, slots=bool(span))
    seen = f"{sees}({', '.join((i, j, *arguments.values()))})"
    name = w.local("mask")
    if span:
        w.helper("add_bias", f"{RUNTIME}.attention")
        w.helper("hiding", HELPERS)
        w.line(f"{name} = add_bias({mask}, {causal}, hiding({seen}, {qk[0]}))")
    elif apart:
        w.helper("given_mask", HELPERS)
        extra = ", empty_rows_see_all=True" if w.attr(node, "empty_rows") == "all" else ""
        w.line(f"{name} = given_mask({seen}, {real}, {qk[0]}{extra})")
    else:
        w.helper("visible_mask", f"{RUNTIME}.attention")
        extra = ", empty_rows_see_all=True" if w.attr(node, "empty_rows") == "all" else ""
        w.line(f"{name} = visible_mask({real}, {qk[0]}[:, 0], lambda i, j: {seen}{extra})")
    return name, "False"


def block_atom(w: Writer, mask: Mask, qk: tuple[str, str], slots: tuple[str, str, str]) -> str:
    """The value of an atom of `BLOCKS`: an expression (B|1, H, S, K) over queries, keys, slots and real keys."""
    i, j, real = slots
    if mask["type"] == "top_blocks":
        w.helper("top_blocks", HELPERS)
        best = ", best=True" if mask.get("score") == "max_key" else ""
        return f"top_blocks({', '.join((*qk, i, j, real))}, {mask['block']}, {mask['count']}{best})"
    plain, paper = (None if t is None else _table(w, t.flatten().tolist(), t.shape) for t in tables(mask))
    w.helper("drawn_blocks", HELPERS)
    if paper is None:
        return f"drawn_blocks({plain}, {i}, {j}, {mask['block']})"
    block = mask["block"]
    blocks = tuple(n // block for n in PAPER_LENGTHS if n % block == 0)
    table = f"{paper} if -(-{j}.shape[1] // {block}) in {blocks!r} else {plain}"
    return f"drawn_blocks({table}, {i}, {j}, {block})"


def _table(w: Writer, numbers: list[int], shape: tuple[int, ...]) -> str:
    """The variable of a table of whole numbers, of which each layer has its own."""
    sizes = ", ".join(map(str, (-1, *shape)))
    return w.each_layer("drawn", f"{{0}}.reshape({sizes}).long()", len(numbers), lambda _: numbers)
