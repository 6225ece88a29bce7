"""The elementwise product."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ()


def write(w: Writer, node: Node) -> str:
    return w.op("Mul", *w.inputs)
