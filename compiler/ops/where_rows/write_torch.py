"""`where_rows` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    old, new, marked = (w.read(node, i) for i in range(3))
    place = "..., None" if len(w.type(node.inputs[0]).shape) == 3 else ":, None, :, None"
    w.set(node, f"torch.where({marked}.bool()[{place}], {new}, {old})")
