"""x · by + plus."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("by", "plus")


def write(w: Writer, node: Node) -> str:
    by, plus = node.attrs["by"], node.attrs.get("plus", 0)
    number = w.whole if w.types[0].dtype == "int" else w.number
    x = w.op("Mul", w.inputs[0], number(by)) if by != 1 else w.inputs[0]
    return w.op("Add", x, number(plus)) if plus else x
