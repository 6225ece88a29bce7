"""Rows padded with zeros to whole slots, then one product, a mean or a maximum for each slot."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("rate", "map")


def write(w: Writer, node: Node) -> tuple[str, str]:
    h, mask = w.inputs
    rate, width = node.attrs["rate"], int(w.types[0].shape[2])
    rows = w.types[0].shape[1]

    def left_over(m: Writer) -> str:
        return m.op("Mod", m.op("Neg", m.length(rows)), m.ints(rate))

    def marks(m: Writer) -> str:
        """Which rows are real, (B, S), as 0 and 1."""
        if mask:
            return m.cast(m.cast(mask, "bool"), "int")
        return m.op("Expand", m.whole(1), m.op("Concat", m.length(w.types[0].shape[0]), m.length(rows), axis=0))

    def filled(m: Writer) -> str:
        """Which slots hold a real row, (B, slots)."""
        whole = m.op("Pad", real, m.op("Concat", m.ints(0, 0, 0), missing, axis=0))
        return m.op("ReduceMax", m.op("Reshape", whole, m.ints(0, -1, rate)), m.ints(2), keepdims=0)

    missing = w.shared(f"left over {rows} {rate}", left_over)
    real = w.shared(f"real rows {rows} {mask}", marks)
    if mask:
        h = w.op("Where", w.op("Unsqueeze", w.cast(real, "bool"), w.ints(2)), h, w.number(0.0))
    h = w.op("Pad", h, w.op("Concat", w.ints(0, 0, 0, 0), missing, w.ints(0), axis=0))
    h = w.op("Reshape", h, w.ints(0, -1, rate, width))  # (B, slots, rate, d)
    match node.attrs["map"]:
        case "conv":
            matrix = w.op("Reshape", w.op("Transpose", w.param("weight"), perm=[2, 1, 0]), w.ints(-1, width))
            flat = w.op("Reshape", h, w.ints(0, 0, rate * width))
            slots = w.op("Add", w.op("MatMul", flat, matrix), w.param("bias"))
        case "mean":
            slots = w.op("ReduceMean", h, w.ints(2), keepdims=0)
        case "max":
            slots = w.op("ReduceMax", h, w.ints(2), keepdims=0)
        case other:
            w.refuse(f"map {other!r}")
    return slots, w.shared(f"filled slots {rows} {rate} {mask}", filled)
