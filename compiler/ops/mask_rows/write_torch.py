"""`mask_rows` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.helper("keep_real")
    more = f", {float(fill)!r}" if (fill := w.attr(node, "fill")) else ""
    w.set(node, f"keep_real({w.read(node, 0)}, {w.read(node, 1)}{more})", keeps=0)
