"""Learned rows for each sequence of the batch."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("count", "width")


def write(w: Writer, node: Node) -> str:
    shape = w.op("Concat", w.length(w.types[0].shape[0]), w.ints(node.attrs["count"], node.attrs["width"]), axis=0)
    return w.op("Expand", w.op("Unsqueeze", w.param("weight"), w.ints(0)), shape)
