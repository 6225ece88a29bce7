"""Tensors joined along one axis."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("axis",)


def write(w: Writer, node: Node) -> str:
    return w.op("Concat", *w.inputs, axis=node.attrs.get("axis", -1))
