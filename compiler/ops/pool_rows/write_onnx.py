"""Rows padded to whole groups, then one number for each group."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("stride", "keep_first", "how")


def write(w: Writer, node: Node) -> str:
    (x,), stride, rank = w.inputs, node.attrs["stride"], len(w.types[0].shape)
    rows = w.op("Shape", x, start=1, end=2)
    if node.attrs.get("keep_first"):
        first = w.op("Slice", x, w.ints(0), w.ints(1), w.ints(1))
        x = w.op("Slice", w.op("Concat", *[first] * (stride - 1), x, axis=1), w.ints(0), rows, w.ints(1))
    match node.attrs.get("how", "mean"):
        case "first":
            return w.op("Slice", x, w.ints(0), w.ints(2**31 - 1), w.ints(1), w.ints(stride))
        case "min":
            return w.op("ReduceMin", _groups(w, x, rows, stride, rank, w.whole(2**31 - 1)), w.ints(2), keepdims=0)
    total = w.op("ReduceSum", _groups(w, x, rows, stride, rank, w.number(0)), w.ints(2), keepdims=0)
    ones = w.op("Expand", w.number(1), w.op("Concat", w.ints(1), rows, *[w.ints(1)] * (rank - 2), axis=0))
    count = w.op("ReduceSum", _groups(w, ones, rows, stride, rank, w.number(0)), w.ints(2), keepdims=0)
    return w.op("Div", total, count)


def _groups(w: Writer, x: str, rows: str, stride: int, rank: int, filling: str) -> str:
    """(B, S, ...) -> (B, groups, stride, ...), filled up at the end."""
    missing = w.op("Mod", w.op("Neg", rows), w.ints(stride))
    ends = w.op("Concat", w.ints(*[0] * (rank + 1)), missing, *[w.ints(0)] * (rank - 2), axis=0)
    full = w.op("Pad", x, ends, filling)
    return w.op("Reshape", full, w.op("Concat", w.ints(0, -1, stride), w.op("Shape", x, start=2), axis=0)
                if rank > 2 else w.ints(0, -1, stride))  # fmt: skip
