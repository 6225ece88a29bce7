"""`where_rows` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    old, new, marked = (w.read(node, i) for i in range(3))
    w.set(node, f"torch.where({marked}.bool()[..., None], {new}, {old})")
