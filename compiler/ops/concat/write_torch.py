"""`concat` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    parts = ", ".join(w.read(node, i) for i in range(len(node.inputs)))
    w.set(node, f"torch.cat([{parts}], {w.attr(node, 'axis')})")
