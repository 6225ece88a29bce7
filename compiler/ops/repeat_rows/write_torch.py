"""`repeat_rows` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.helper("repeat_rows")
    x, like = w.read(node, 0), w.read(node, 1)
    more = f"{node.attrs['factor']}, {bool(w.attr(node, 'keep_first'))}"
    w.set(node, f"repeat_rows({x}, {like}.shape[1], {more})")
