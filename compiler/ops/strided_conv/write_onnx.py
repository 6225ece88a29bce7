"""A convolution with steps along the rows: channels first and back."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("channels", "kernel", "stride", "bias")


def write(w: Writer, node: Node) -> str:
    x = w.inputs[0]  # (B, L) or (B, L, C)
    x = w.op("Transpose", x, perm=[0, 2, 1]) if len(w.types[0].shape) == 3 else w.op("Unsqueeze", x, w.ints(1))
    weights = [w.param("weight"), *([w.param("bias")] if node.attrs.get("bias") else [])]
    y = w.op("Conv", x, *weights, kernel_shape=[node.attrs["kernel"]], strides=[node.attrs["stride"]])
    return w.op("Transpose", y, perm=[0, 2, 1])
