"""The new row where it is marked, else the old one."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ()


def write(w: Writer, node: Node) -> str:
    old, new, marked = w.inputs
    symbol = w.types[0].shape[-2]
    if w.sheet.stepping and w.types[2].shape[1] == "T" and symbol == "S":
        total = w.length("T")
        marked = w.op("Slice", marked, w.op("Sub", total, w.length(symbol)), total, w.ints(1))
    axes = w.ints(-1) if len(w.types[0].shape) == 3 else w.ints(1, 3)
    return w.op("Where", w.op("Unsqueeze", w.cast(marked, "bool"), axes), new, old)
