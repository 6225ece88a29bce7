"""`depthwise_conv` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.helper("depthwise_conv")
    w.set(node, f"depthwise_conv({w.read(node, 0)}, {w.param(node, 'weight')})")
