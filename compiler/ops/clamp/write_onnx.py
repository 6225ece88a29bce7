"""x cut to [low, high]."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("low", "high")


def write(w: Writer, node: Node) -> str:
    low, high = node.attrs.get("low"), node.attrs.get("high")
    return w.op("Clip", w.inputs[0], "" if low is None else w.number(low), *([] if high is None else [w.number(high)]))
