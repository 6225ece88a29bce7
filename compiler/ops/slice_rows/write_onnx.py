"""Rows start to stop; the end is a number beyond any length."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("start", "stop", "rows")
END = 2**31 - 1


def write(w: Writer, node: Node) -> str:
    stop = END if node.attrs["stop"] is None else node.attrs["stop"]
    return w.op("Slice", w.inputs[0], w.ints(node.attrs["start"]), w.ints(stop), w.ints(1))
