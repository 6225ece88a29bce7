"""left·a + right·b."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("left", "right")


def write(w: Writer, node: Node) -> str:
    left, right = (
        x if by == 1 else w.op("Mul", x, w.number(by))
        for x, by in zip(w.inputs, (node.attrs.get("left", 1), node.attrs.get("right", 1)), strict=True)
    )
    return w.op("Add", left, right)
