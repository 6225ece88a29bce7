"""The new row where it is marked, else the old one."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ()


def write(w: Writer, node: Node) -> str:
    old, new, marked = w.inputs
    return w.op("Where", w.op("Unsqueeze", w.cast(marked, "bool"), w.ints(-1)), new, old)
