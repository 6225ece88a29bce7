"""The first or last row of a sequence, or the mean of its unpadded ones."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("rows",)


def write(w: Writer, node: Node) -> str:
    x, mask = w.inputs  # (B, S, width), (B, T)
    match node.attrs["rows"]:
        case "first":
            return w.op("Gather", x, w.whole(0), axis=1)
        case "mean":
            weight = w.op("Unsqueeze", w.float(mask), w.ints(-1))
            total = w.op("ReduceSum", w.op("Mul", x, weight), w.ints(1), keepdims=0)
            count = w.op("Max", w.op("ReduceSum", weight, w.ints(1), keepdims=0), w.number(1e-9))
            return w.op("Div", total, count)
    slots = w.op("Range", w.whole(0), w.scalar(w.length(w.types[0].shape[1])), w.whole(1))
    marked = w.op("Where", w.cast(mask, "bool"), slots, w.whole(-1))
    last = w.op("ReduceMax", marked, w.ints(1), keepdims=1)  # (B, 1)
    return w.op("GatherND", x, last, batch_dims=1)
