"""`strided_conv` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    x = w.read(node, 0)
    turned = f"{x}.transpose(1, 2)" if len(w.type(node.inputs[0]).shape) == 3 else f"{x}[:, None]"
    bias = f", {w.param(node, 'bias')}" if "bias" in node.params else ""
    call = f"F.conv1d({turned}, {w.param(node, 'weight')}{bias}, stride={node.attrs['stride']})"
    w.set(node, f"{call}.transpose(1, 2)")
