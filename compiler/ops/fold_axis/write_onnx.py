"""The axis moved behind the others, which are joined."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("axis",)


def write(w: Writer, node: Node) -> str:
    x, (*_, width) = w.inputs[0], w.types[0].shape
    axis = node.attrs["axis"] + 1
    length = w.op("Shape", x, start=axis, end=axis + 1)
    moved = w.op("Transpose", x, perm=moved_last(len(w.types[0].shape), axis))
    return w.op("Reshape", moved, w.op("Concat", w.ints(-1), length, w.ints(int(width)), axis=0))


def moved_last(rank: int, axis: int) -> list[int]:
    """Axes in the order that puts `axis` before the last one."""
    return [*(a for a in range(rank - 1) if a != axis), axis, rank - 1]
