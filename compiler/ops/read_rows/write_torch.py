"""`read_rows` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    x = w.read(node, 0)
    if node.attrs["rows"] == "first":
        w.set(node, f"{x}[:, 0]", keeps=0)
        return
    name = w.helper("last_row" if node.attrs["rows"] == "last" else "mean_row")
    w.set(node, f"{name}({x}, {w.read(node, 1)})", keeps=0)
