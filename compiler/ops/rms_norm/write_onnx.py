"""SimplifiedLayerNormalization, or the standard RMSNormalization; eps outside the root is written out.

`layer_norm`, `add_norm` and the norms inside attention share these functions.
"""

import numpy as np

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.base import Attrs

FIELDS = ("eps", "gain", "bias", "eps_at", "groups", "at_least")


def write(w: Writer, node: Node) -> str:
    return normed(w, "rms_norm", w.inputs[0], node.attrs, int(w.types[0].shape[-1]))


def normed(w: Writer, norm: str, x: str, attrs: Attrs, width: int, part: str = "") -> str:
    """The norm `norm` ("rms_norm" or "layer_norm") of x over its last axis; `part` prefixes the parameters' roles."""
    bias = w.param(f"{part}bias") if attrs.get("bias", norm == "layer_norm") else ""
    if attrs.get("groups", 1) != 1:
        return _affine(w, _grouped(w, norm, x, attrs, width), attrs, width, part, bias)
    if attrs.get("eps_at", "inside") == "outside":
        return _affine(w, _outside(w, norm, x, attrs["eps"]), attrs, width, part, bias)
    weight = gain(w, attrs, width, part)
    if norm == "layer_norm":
        given = [bias] if bias else []
        return w.op("LayerNormalization", x, weight, *given, axis=-1, epsilon=attrs["eps"], stash_type=1)
    y = _root_mean_square(w, x, weight, attrs["eps"])
    return w.op("Add", y, bias) if bias else y


def _root_mean_square(w: Writer, x: str, weight: str, eps: float) -> str:
    """x / sqrt(mean(x²) + eps) · weight over the last axis."""
    if w.target.has("SimplifiedLayerNormalization"):
        return w.fused("SimplifiedLayerNormalization", x, weight, axis=-1, epsilon=eps, stash_type=1)
    return w.op("RMSNormalization", x, weight, axis=-1, epsilon=eps, stash_type=1)


def _grouped(w: Writer, norm: str, x: str, attrs: Attrs, width: int) -> str:
    """x (…, width), each of `groups` slices of the width normed alone."""
    each = width // attrs["groups"]
    slices = w.op("Reshape", x, w.ints(-1, each))
    if attrs.get("eps_at", "inside") == "outside":
        y = _outside(w, norm, slices, attrs["eps"])
    elif norm == "layer_norm":
        y = w.op("LayerNormalization", slices, w.numbers(np.ones(each)), axis=-1, epsilon=attrs["eps"], stash_type=1)
    else:
        y = _root_mean_square(w, slices, w.numbers(np.ones(each)), attrs["eps"])
    return w.op("Reshape", y, w.op("Shape", x))


def gain(w: Writer, attrs: Attrs, width: int, part: str = "") -> str:
    """The factor (width,) of a norm: a parameter, one plus a parameter, or ones."""
    match attrs.get("gain", "weight"):
        case "weight":
            return w.param(f"{part}weight")
        case "one_plus":
            return w.op("Add", w.param(f"{part}weight"), w.number(1.0))  # folded when the model is loaded
    return w.numbers(np.ones(width))


def _outside(w: Writer, norm: str, x: str, eps: float) -> str:
    """x / (sqrt(mean(x²)) + eps), in fp32; a layer norm centres x first."""
    wide = w.cast(x, "fp32")
    if norm == "layer_norm":
        wide = w.op("Sub", wide, w.op("ReduceMean", wide, w.ints(-1), keepdims=1))
    square = w.op("ReduceMean", w.op("Mul", wide, wide), w.ints(-1), keepdims=1)
    return w.float(w.op("Div", wide, w.op("Add", w.op("Sqrt", square), w.single(eps))))


def _affine(w: Writer, y: str, attrs: Attrs, width: int, part: str, bias: str) -> str:
    """y · gain + bias, where the norm has them."""
    if attrs.get("gain", "weight") != "none":
        y = w.op("Mul", y, gain(w, attrs, width, part))
    return w.op("Add", y, bias) if bias else y
