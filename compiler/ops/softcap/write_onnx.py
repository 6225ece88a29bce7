"""cap · tanh(x / cap)."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("cap",)


def write(w: Writer, node: Node) -> str:
    cap = w.number(node.attrs["cap"])
    return w.op("Mul", w.op("Tanh", w.op("Div", w.inputs[0], cap)), cap)
