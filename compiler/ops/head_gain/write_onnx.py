"""A factor and a bias for each channel of each head."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("gain", "bias")


def write(w: Writer, node: Node) -> str:
    x = w.inputs[0]
    if "weight" in node.params:
        weight = w.op("Unsqueeze", w.param("weight"), w.ints(1))
        if node.attrs.get("gain") == "one_plus":
            weight = w.op("Add", weight, w.number(1.0))
        x = w.op("Mul", x, weight)
    return w.op("Add", x, w.op("Unsqueeze", w.param("bias"), w.ints(1))) if "bias" in node.params else x
