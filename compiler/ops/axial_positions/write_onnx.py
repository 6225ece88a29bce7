"""A Gather from each axis's table. A position beyond the grid fails in the first of them, which is not wrapped."""

from math import prod

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("shape", "widths")


def write(w: Writer, node: Node) -> str:
    at, shape = w.inputs[0], node.attrs["shape"]
    parts = []
    for i, size in enumerate(shape):
        below = prod(shape[i + 1 :])
        place = w.op("Div", at, w.whole(below)) if below > 1 else at
        place = w.op("Mod", place, w.whole(size)) if i else place
        parts.append(w.op("Gather", w.param(f"axis_{i}"), place, axis=0))
    return w.op("Concat", *parts, axis=-1)
