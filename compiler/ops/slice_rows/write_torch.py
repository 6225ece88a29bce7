"""`slice_rows` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    stop = "" if node.attrs["stop"] is None else node.attrs["stop"]
    w.set(node, f"{w.read(node, 0)}[:, {node.attrs['start']}:{stop}]")
