"""Experts one after another, each on the tokens that chose it: rows gathered, computed, added back.

ONNX Runtime's MoE operator takes interleaved gates and a softmax over all experts only; this form takes every router.
The file holds the experts stacked; slices of them are folded when the model is loaded.
"""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.activation.write_onnx import apply
from compiler.ops.base import Attrs

FIELDS = ("n_experts", "top_k", "d_ff", "gated", "function", "bias", "up_offset", "clamp", "weigh")


def write(w: Writer, node: Node) -> str:
    attrs = node.attrs
    width = int(w.types[0].shape[-1])
    tokens = w.op("Reshape", w.inputs[0], w.ints(-1, width))  # (N, d)
    weights = w.op("Reshape", w.inputs[1], w.ints(-1, attrs["top_k"]))  # (N, K)
    index = w.op("Reshape", w.inputs[2], w.ints(-1, attrs["top_k"]))
    out = w.op("Mul", tokens, w.number(0.0))
    for e in range(attrs["n_experts"]):
        hit = w.op("Equal", index, w.whole(e))
        some = w.op("ReduceMax", w.cast(hit, "int32"), w.ints(-1), keepdims=0)  # (N,)
        rows = w.op("Transpose", w.op("NonZero", some), perm=[1, 0])  # (n, 1)
        weight = w.op("ReduceSum", w.op("Where", hit, weights, w.number(0.0)), w.ints(-1), keepdims=1)
        given, share = w.op("GatherND", tokens, rows), w.op("GatherND", weight, rows)  # (n, d), (n, 1)
        if attrs.get("weigh", "output") == "input":
            y = _expert(w, w.op("Mul", given, share), e, attrs)
        else:
            y = w.op("Mul", _expert(w, given, e, attrs), share)
        out = w.op("ScatterND", out, rows, y, reduction="add")
    return w.op("Reshape", out, w.op("Shape", w.inputs[0]))


def _expert(w: Writer, x: str, e: int, attrs: Attrs) -> str:
    """Expert e on its tokens (n, d)."""

    def linear(x: str, role: str) -> str:
        matrix = w.op("Gather", w.param(role), w.whole(e), axis=0)  # (out, in)
        if w.target.has("FusedMatMul"):
            y = w.fused("FusedMatMul", x, matrix, transB=1)
        else:
            y = w.op("MatMul", x, w.op("Transpose", matrix, perm=[1, 0]))
        bias = role in attrs.get("bias", [])
        return w.op("Add", y, w.op("Gather", w.param(f"{role}_bias"), w.whole(e), axis=0)) if bias else y

    function = attrs.get("function") or "identity"
    up = linear(x, "up")
    if not attrs["gated"]:
        return linear(apply(w, up, function), "down")
    gate, clamp = linear(x, "gate"), attrs.get("clamp")
    if clamp:
        gate = w.op("Clip", gate, "", w.number(clamp))
        up = w.op("Clip", up, w.number(-clamp), w.number(clamp))
    if attrs.get("up_offset", 0):
        up = w.op("Add", up, w.number(attrs["up_offset"]))
    return linear(w.op("Mul", apply(w, gate, function), up), "down")
