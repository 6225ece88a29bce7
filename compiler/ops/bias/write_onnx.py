"""x + bias."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ()


def write(w: Writer, node: Node) -> str:
    return w.op("Add", w.inputs[0], w.param("bias"))
