"""Masks side by side, ones where rows have none."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ()


def write(w: Writer, node: Node) -> str:
    parts = []
    for rows, mask in zip(w.inputs[::2], w.inputs[1::2], strict=True):
        sizes = w.op("Shape", rows, start=0, end=2) if not mask else ""
        parts.append(mask or w.op("Expand", w.whole(1), sizes))
    return parts[0] if len(parts) == 1 else w.op("Concat", *parts, axis=1)
