"""`length_projection` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.helper("mix_rows")
    w.set(node, f"mix_rows({w.read(node, 0)}, {w.param(node, 'weight')})")
