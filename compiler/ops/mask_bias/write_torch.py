"""`mask_bias` in PyTorch: once for all layers, unless blocks are drawn for each or keys stand in another stack."""

from compiler.emit.torch.masks import atom, atoms
from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.attention.torch_blocks import block_atom
from compiler.ops.attention.torch_rules import by_name, places, rule_function
from compiler.ops.attention.write_torch import HELPERS, span_of


def write(w: Writer, node: Node) -> None:
    mask, add = node.attrs["mask"], repr(node.attrs["add"])
    named = dict(zip(w.attr(node, "mask_inputs"), node.inputs[2:], strict=True))
    w.helper("bias_where")
    pooled = w.type(node.inputs[0]).shape[2] != w.type(w.stream).shape[1]
    cross = w.attr(node, "apart")
    if pooled or cross:
        w.helper("slots_between", HELPERS)
        q, i, j = w.read(node, 0), w.local("i"), w.local("j")
        k = w.hold(node, 1) if cross else w.read(node, 1)
        w.line(f"{i}, {j} = slots_between({q}, {k})", "(S, 1), (1, K)")
        drawn = {atom(a): block_atom(w, a, ("", ""), (i, j, "None")) for a in atoms(mask)}
        marked = rule_function(w, "marked", mask, "j.shape[1]", [*named, *drawn])
        given = ", ".join((i, j, *map(w.variable, named.values()), *drawn.values()))
        w.set(node, f"bias_where({marked}({given}), {add}, {q})")
        return
    i, j, total = slots(w, node)
    drawn = {atom(a): block_atom(w, a, ("", ""), (i, j, "None")) for a in atoms(mask)}
    marked = rule_function(w, "marked", mask, total, [*named, *drawn], slots=w.steps)
    if drawn:
        given = ", ".join((i, j, *by_name(w, named).values(), *drawn.values()))
        w.set(node, f"bias_where({marked}({given}), {add}, {w.variable(w.stream)})")
        return
    text = f"bias_where({marked}({i}, {j}{places(w, [*named], 1)}), {add}, {{0}})"
    w.names[node.outputs[0]] = w.once("bias", text, w.stream, *named.values())


def slots(w: Writer, node: Node) -> tuple[str, str, str]:
    """Expressions of the slots of queries (S, 1) and keys (1, K), and of how many tokens there are for their rule."""
    if w.steps:
        span = span_of(w, node)
        return f"{span}.i[:, None]", f"{span}.j[None, :]", "i[-1] + 1"
    w.helper("slots_of")
    both = w.once("slots", "slots_of({0})", w.stream)
    return f"{both}[0]", f"{both}[1]", "j.shape[1]"
