"""The rows before, the new ones, and those behind."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.slice_rows.write_onnx import END

FIELDS = ("start", "stop")


def write(w: Writer, node: Node) -> str:
    x, y = w.inputs
    start, stop = node.attrs["start"], node.attrs["stop"]
    before = [w.op("Slice", x, w.ints(0), w.ints(start), w.ints(1))] if start else []
    behind = [w.op("Slice", x, w.ints(stop), w.ints(END), w.ints(1))] if stop is not None else []
    return w.op("Concat", *before, y, *behind, axis=1) if before or behind else y
