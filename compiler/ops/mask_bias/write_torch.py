"""`mask_bias` in PyTorch: once for all layers."""

from compiler.emit.torch.masks import rule
from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.attention.write_torch import span_of


def write(w: Writer, node: Node) -> None:
    if w.attr(node, "mask_inputs"):
        raise NotImplementedError("a bias where a mask that reads inputs is true")
    where = w.function("marked", ("i", "j"), rule(node.attrs["mask"], "i[-1] + 1", {}))
    w.helper("bias_where")
    if w.steps:
        span = span_of(w, node)
        text = f"bias_where({where}({span}.i[:, None], {span}.j[None, :]), {node.attrs['add']!r}, {{0}})"
    else:
        text = f"bias_where({where}(*slots_of({{0}})), {node.attrs['add']!r}, {{0}})"
        w.helper("slots_of")
    w.names[node.outputs[0]] = w.once("bias", text, w.stream)
