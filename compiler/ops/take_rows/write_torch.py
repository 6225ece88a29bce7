"""`take_rows` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    x = w.read(node, 0)
    w.set(node, f"{x}[torch.arange(len({x}), device={x}.device)[:, None], {w.read(node, 1)}]")
