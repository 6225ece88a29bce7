"""x · by + plus."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("by", "plus")


def write(w: Writer, node: Node) -> str:
    by, plus = node.attrs["by"], node.attrs.get("plus", 0)
    x = w.op("Mul", w.inputs[0], w.number(by)) if by != 1 else w.inputs[0]
    return w.op("Add", x, w.number(plus)) if plus else x
