"""`add` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def total(w: Writer, node: Node) -> str:
    """left·a + right·b as an expression."""
    left, right = w.attr(node, "left"), w.attr(node, "right")
    a, b = w.read(node, 0), w.read(node, 1)
    a = a if left == 1 else f"{float(left)!r} * {a}"
    return f"{a} + {b}" if right == 1 else f"{a} + {float(right)!r} * {b}"


def write(w: Writer, node: Node) -> None:
    w.set(node, total(w, node), keeps=0)
