"""A norm inside another operator."""

from collections.abc import Mapping
from typing import Any

from compiler.emit.onnx.writer import Writer
from compiler.ops.rms_norm import write_onnx as rms_norm


def normed(w: Writer, norm: Mapping[str, Any], x: str, width: int, own: Mapping[str, str]) -> str:
    """The norm {"norm": operator, its fields, "by": a factor after it} of x (…, width).

    own: role -> a parameter (…, width).
    """
    y = x
    if norm["norm"] == "batch_norm":
        y = w.op("Sub", x, own["mean"])
        y = w.op("Div", y, w.op("Sqrt", w.op("Add", own["variance"], w.number(norm["eps"]))))
    elif norm["norm"] != "learned_gate":
        y = rms_norm.normed(w, norm["norm"], x, {**norm, "gain": "none", "bias": False}, width)
    if "weight" in own:
        one_plus = norm.get("gain") == "one_plus"
        y = w.op("Mul", y, w.op("Add", own["weight"], w.number(1.0)) if one_plus else own["weight"])
    if norm.get("by", 1) != 1:
        y = w.op("Mul", y, w.number(norm["by"]))
    return w.op("Add", y, own["bias"]) if "bias" in own else y
