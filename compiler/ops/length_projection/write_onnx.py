"""The first S columns of the map, times the rows."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("rank", "length")


def write(w: Writer, node: Node) -> str:
    x = w.inputs[0]
    length = w.op("Shape", x, start=1, end=2)
    return w.op("MatMul", w.op("Slice", w.param("weight"), w.ints(0), length, w.ints(1)), x)
