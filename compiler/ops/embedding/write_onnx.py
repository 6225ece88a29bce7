"""Rows of the table."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("rows", "width", "offset")


def write(w: Writer, node: Node) -> str:
    offset = node.attrs.get("offset", 0)
    ids = w.op("Add", w.inputs[0], w.whole(offset)) if offset else w.inputs[0]
    return w.op("Gather", w.param("weight"), ids, axis=0)
