"""The standard Conv, each channel a group, zeros on both sides."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("kernel",)


def write(w: Writer, node: Node) -> str:
    kernel, width = node.attrs["kernel"], int(w.types[0].shape[-1])
    x = w.op("Transpose", w.inputs[0], perm=[0, 2, 1])  # (B, C, S)
    weight = w.op("Unsqueeze", w.param("weight"), w.ints(1))  # (C, 1, K)
    y = w.op("Conv", x, weight, group=width, pads=[kernel // 2, (kernel - 1) // 2])
    return w.op("Transpose", y, perm=[0, 2, 1])
