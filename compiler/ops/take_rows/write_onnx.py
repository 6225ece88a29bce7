"""Rows at given places, each sequence its own."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ()


def write(w: Writer, node: Node) -> str:
    x, places = w.inputs
    return w.op("GatherND", x, w.op("Unsqueeze", places, w.ints(-1)), batch_dims=1)
