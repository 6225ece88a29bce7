"""`hierarchical_attention` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.helper("attend_in_levels")
    read = ", ".join(w.read(node, i) for i in range(4))
    numbers = f"{node.attrs['block']}, {w.attr(node, 'coarsest')}"
    w.set(node, f"attend_in_levels({read}, {numbers}, {float(node.attrs['scale'])!r}, {float(w.attr(node, 'eps'))!r})")
