"""Rows expanded, filled up with zeros and cut."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("factor", "keep_first")


def write(w: Writer, node: Node) -> str:
    (x, like), factor, once = w.inputs, node.attrs["factor"], int(node.attrs.get("keep_first", False))
    width = int(w.types[0].shape[2])
    rest = w.op("Slice", x, w.ints(once), w.ints(2**31 - 1), w.ints(1))
    each = w.op("Expand", w.op("Unsqueeze", rest, w.ints(2)), w.ints(1, 1, factor, 1))  # (B, S, factor, d)
    wide = w.op("Reshape", each, w.op("Concat", w.op("Shape", x, start=0, end=1), w.ints(-1, width), axis=0))
    rows = w.op("Sub", w.op("Shape", like, start=1, end=2), w.ints(once))
    # Groups are never shorter than the rows they were made of, less what a kept first row pushed out: factor - 1.
    full = w.op("Pad", wide, w.ints(0, 0, 0, 0, factor - 1, 0), w.number(0))
    cut = w.op("Slice", full, w.ints(0), rows, w.ints(1))
    if not once:
        return cut
    return w.op("Concat", w.op("Slice", x, w.ints(0), w.ints(1), w.ints(1)), cut, axis=1)
