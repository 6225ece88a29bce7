"""`marked_rows` in PyTorch: once for all layers, unless its rows are no rows of the stream of tokens."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.attention.torch_rules import by_name, places, rule_function
from compiler.ops.attention.write_torch import seen_by_inputs


def write(w: Writer, node: Node) -> None:
    if node.inputs[0] == node.inputs[1]:
        return of_its_own(w, node)
    real, names = node.inputs[2], w.attr(node, "mask_inputs")
    inputs = (w.stream, *([real] if real else []))
    named = dict(zip(names, node.inputs[3:], strict=True))
    seen = seen_by_inputs(w, node.attrs["mask"], inputs, named)
    w.helper("rows_that_see")
    text = f"rows_that_see({seen}, {'{1}' if real else 'None'})"
    w.names[node.outputs[0]] = w.once("marked_rows", text, *inputs, *named.values())


def of_its_own(w: Writer, node: Node) -> None:
    """Rows that stand at these slots, or that an input marks."""
    named = dict(zip(w.attr(node, "mask_inputs"), node.inputs[3:], strict=True))
    rule = rule_function(w, "among", node.attrs["mask"], "i[-1] + 1", named, slots=w.steps)
    state = ", state" if w.steps else ""
    w.helper("rows_at")
    if w.type(node.inputs[0]).shape[1] != w.type(w.stream).shape[1]:  # pooled rows: such a model does not step
        given = "".join(f", {name}" for name in by_name(w, named).values())
        x = w.read(node, 0)
        w.set(node, f"rows_at(lambda i: {rule}(i, i.mT{given}), {x}{state})")
        return
    text = f"rows_at(lambda i: {rule}(i, i.mT{places(w, [*named], 1)}), {{0}}{state})"
    w.names[node.outputs[0]] = w.once("marked_rows", text, w.stream, *named.values())
