"""`repeat_heads` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.set(node, f"{w.read(node, 0)}.repeat_interleave({node.attrs['times']}, 1)", keeps=0)
