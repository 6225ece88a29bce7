"""`unfold_axis` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    rows, grid, axis = w.read(node, 0), w.read(node, 1), node.attrs["axis"] + 1
    w.set(node, f"{rows}.unflatten(0, {grid}.movedim({axis}, -2).shape[:-2]).movedim(-2, {axis})")
