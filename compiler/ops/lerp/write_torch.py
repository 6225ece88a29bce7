"""`lerp` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.set(node, f"torch.lerp({w.read(node, 1)}, {w.read(node, 0)}, {w.param(node, 'mix')})")
