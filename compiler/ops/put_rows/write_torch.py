"""`put_rows` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    x, y, start, stop = w.read(node, 0), w.read(node, 1), node.attrs["start"], node.attrs["stop"]
    parts = [*([f"{x}[:, :{start}]"] if start else []), y, *([f"{x}[:, {stop}:]"] if stop is not None else [])]
    w.set(node, f"torch.cat([{', '.join(parts)}], 1)")
