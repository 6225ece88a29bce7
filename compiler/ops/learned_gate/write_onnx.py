"""x times a parameter, or a function of it."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.activation.write_onnx import apply

FIELDS = ("function", "of")


def write(w: Writer, node: Node) -> str:
    return w.op("Mul", w.inputs[0], apply(w, w.param("weight"), node.attrs.get("function") or "identity"))
