"""(exp(w·x - |x|²/2 - greatest) + eps) / sqrt(features), in fp32."""

import numpy as np

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("features", "eps", "keys")


def write(w: Writer, node: Node) -> str:
    width = int(w.types[0].shape[-1])
    x = w.op("Mul", w.cast(w.inputs[0], "fp32"), w.single(width**-0.25))
    projected = w.op("MatMul", x, w.cast(w.param("projection", transposed=True), "fp32"))
    greatest = w.op("ReduceMax", projected, w.ints(-1), keepdims=1)
    if node.attrs.get("keys"):
        if len(w.inputs) > 1:
            real = w.op("Unsqueeze", w.cast(w.inputs[1], "bool"), w.ints(1, 3))
            greatest = w.op("Where", real, greatest, w.single(float(np.finfo(np.float32).min)))
        greatest = w.op("ReduceMax", greatest, w.ints(-2), keepdims=1)
    square = w.op("Mul", w.op("ReduceSum", w.op("Mul", x, x), w.ints(-1), keepdims=1), w.single(0.5))
    y = w.op("Exp", w.op("Sub", w.op("Sub", projected, square), greatest))
    eps, share = w.single(node.attrs.get("eps", 1e-4)), w.single(node.attrs["features"] ** -0.5)
    return w.float(w.op("Mul", w.op("Add", y, eps), share))
