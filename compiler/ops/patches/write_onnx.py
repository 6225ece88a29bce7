"""Squares of an image by one convolution, a row each; the class row first."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("patch", "width", "class_token", "bias")


def write(w: Writer, node: Node) -> str:
    size, width = node.attrs["patch"], node.attrs["width"]
    weights = [w.param("weight"), *([w.param("bias")] if node.attrs.get("bias") else [])]
    squares = w.op("Conv", w.inputs[0], *weights, kernel_shape=[size, size], strides=[size, size])  # (B, W, n, n)
    rows = w.op("Transpose", w.op("Reshape", squares, w.ints(0, width, -1)), perm=[0, 2, 1])
    if not node.attrs.get("class_token"):
        return rows
    each = w.op("Concat", w.length(w.types[0].shape[0]), w.ints(1, width), axis=0)
    return w.op("Concat", w.op("Expand", w.param("class_token"), each), rows, axis=1)
