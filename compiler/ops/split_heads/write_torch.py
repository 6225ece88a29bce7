"""`split_heads` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    heads, width = w.type(node.outputs[0]).shape[1], w.type(node.outputs[0]).shape[3]
    w.set(node, f"{w.read(node, 0)}.unflatten(-1, ({heads}, {width})).transpose(1, 2)", keeps=0)
