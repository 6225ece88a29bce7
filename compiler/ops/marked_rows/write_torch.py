"""`marked_rows` in PyTorch: once for all layers."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.attention.write_torch import seen_by_inputs


def write(w: Writer, node: Node) -> None:
    real, names = node.inputs[2], w.attr(node, "mask_inputs")
    inputs = (w.stream, *([real] if real else []))
    named = dict(zip(names, node.inputs[3:], strict=True))
    seen = seen_by_inputs(w, node.attrs["mask"], inputs, named)
    w.helper("rows_that_see")
    text = f"rows_that_see({seen}, {'{1}' if real else 'None'})"
    w.names[node.outputs[0]] = w.once("marked", text, *inputs, *named.values())
