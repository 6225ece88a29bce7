"""Position ids (B, S); in a step they go on from the past, whose length the attention mask shows.

genai pads batches on the right and lets each row go on from its own count: there `index` counts unmasked tokens too,
which is the same without padding.
"""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ir.types import TensorType

FIELDS = ("counts", "pad_id", "given")


def write(w: Writer, node: Node) -> str:
    ids, mask = w.inputs
    counts, pad = node.attrs["counts"], node.attrs.get("pad_id", 0)
    symbol = w.types[0].shape[1]
    stepping = w.sheet.stepping and symbol == "S"
    if counts == "input":
        name = node.attrs["given"]
        w.sheet.inputs[name] = TensorType("int", w.types[0].shape[:2])
        w.sheet.taken.add(name)
        return str(name)
    if counts == "count_nonpad":
        real = w.cast(w.op("Not", w.op("Equal", ids, w.whole(pad))), "int")
        counted = w.op("CumSum", real, w.whole(1))
        if stepping:
            counted = _counted_on(w, counted, real)
        return w.op("Mul", counted, real)
    total = w.length("T" if stepping else symbol)
    first = w.op("Sub", total, w.length(symbol))
    if counts == "count_mask" or w.target.runtime == "genai":
        seen = w.op("Max", w.op("Sub", w.op("CumSum", mask, w.whole(1)), w.whole(1)), w.whole(0))
        return w.op("Slice", seen, first, total, w.ints(1)) if stepping else seen
    slots = w.op("Range", w.scalar(first), w.scalar(total), w.whole(1))
    out = w.op("Expand", slots, w.op("Concat", w.length(w.types[0].shape[0]), w.length(symbol), axis=0))
    w.sheet.slots.add(out)
    return out


def _counted_on(w: Writer, counted: str, real: str) -> str:
    """The count (B, S) with that of the steps before, which no mask shows: the ids told it."""
    kept = TensorType("int", (w.types[0].shape[0],))
    past = w.before("count", kept)
    w.after("count", kept, past, w.op("Add", past, w.op("ReduceSum", real, w.ints(1), keepdims=0)))
    return w.op("Add", counted, w.op("Unsqueeze", past, w.ints(1)))
