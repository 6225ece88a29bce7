"""`clamp` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    low, high = w.attr(node, "low"), w.attr(node, "high")
    w.set(node, f"{w.read(node, 0)}.clamp({low!r}, {high!r})", keeps=0)
