"""previous + mix · (x - previous)."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ()


def write(w: Writer, node: Node) -> str:
    x, previous = w.inputs
    return w.op("Add", previous, w.op("Mul", w.op("Sub", x, previous), w.param("mix")))
