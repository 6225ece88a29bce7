"""SimplifiedLayerNormalization, or the standard RMSNormalization; eps outside the root is written out."""

import numpy as np

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.base import Attrs


def write(w: Writer, node: Node) -> str:
    attrs = node.attrs
    bias = w.param("bias") if attrs.get("bias") else ""
    if attrs.get("eps_at", "inside") == "outside":
        return outside(w, w.cast(w.inputs[0], "fp32"), attrs, bias)
    weight = gain(w, attrs, int(w.types[0].shape[-1]))
    y = normalize(w, w.inputs[0], weight, attrs["eps"])
    return w.op("Add", y, bias) if bias else y


def normalize(w: Writer, x: str, weight: str, eps: float) -> str:
    """x / sqrt(mean(x²) + eps) · weight over the last axis, computed in fp32."""
    if w.target.has("SimplifiedLayerNormalization"):
        return w.fused("SimplifiedLayerNormalization", x, weight, axis=-1, epsilon=eps, stash_type=1)
    return w.op("RMSNormalization", x, weight, axis=-1, epsilon=eps, stash_type=1)


def gain(w: Writer, attrs: Attrs, width: int, role: str = "weight") -> str:
    """The factor (width,) of a norm: a parameter, one plus a parameter, or ones."""
    match attrs.get("gain", "weight"):
        case "weight":
            return w.param(role)
        case "one_plus":
            return w.op("Add", w.param(role), w.number(1.0))  # folded when the model is loaded
    return w.table(np.ones(width, np.float32))


def outside(w: Writer, x: str, attrs: Attrs, bias: str) -> str:
    """x / (sqrt(mean(x²)) + eps) · gain + bias; x in fp32."""
    square = w.op("ReduceMean", w.op("Mul", x, x), w.ints(-1), keepdims=1)
    eps = w.sheet.constant(np.array(attrs["eps"], np.float32))
    y = w.float(w.op("Div", x, w.op("Add", w.op("Sqrt", square), eps)))
    if attrs.get("gain", "weight") != "none":
        y = w.op("Mul", y, gain(w, attrs, int(w.types[0].shape[-1])))
    return w.op("Add", y, bias) if bias else y
