"""`scale` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    plus = w.attr(node, "plus")
    w.set(node, f"{w.read(node, 0)} * {node.attrs['by']!r}" + (f" + {plus!r}" if plus else ""), keeps=0)
