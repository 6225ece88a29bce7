"""ONNX Runtime's MoE operator, which routes by itself, where no weight is negative and the expert is one that it
knows. Its gates and ups are stored row by row in turns.

Else experts one after another, each on the tokens that chose it: rows gathered, computed, added back. The file holds
them stacked; slices are folded when the model is loaded.
"""

from compiler.emit.onnx.masks import LOWEST
from compiler.emit.onnx.norms import normed
from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.activation.write_onnx import apply
from compiler.ops.base import Attrs

FIELDS = (
    "n_experts", "top_k", "d_ff", "gated", "function", "bias", "up_offset", "clamp", "weigh", "inner_norm",
    "identities", "dropped",
)  # fmt: skip
FUSED_NAME = "MoE"
PLAIN = {"relu": "relu", "silu": "silu", None: "identity"}  # of an expert without gate


def write(w: Writer, node: Node) -> str:
    attrs = node.attrs
    if w.target.has(FUSED_NAME):
        reason = refusal(w, attrs)
        if reason is None:
            return _fused(w, node)
        w.note(f"{FUSED_NAME} not used for {node.name}: {reason}")
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
            if attrs.get("dropped"):  # whatever an expert makes of a token times 0
                y = w.op("Where", w.op("Equal", share, w.number(0.0)), w.number(0.0), y)
        else:
            y = w.op("Mul", _expert(w, given, e, attrs), share)
        out = w.op("ScatterND", out, rows, y, reduction="add")
    if attrs.get("identities"):
        other = w.op("GreaterOrEqual", index, w.whole(attrs["n_experts"]))
        weight = w.op("ReduceSum", w.op("Where", other, weights, w.number(0.0)), w.ints(-1), keepdims=1)
        out = w.op("Add", out, w.op("Mul", tokens, weight))
    return w.op("Reshape", out, w.op("Shape", w.inputs[0]))


def refusal(w: Writer, attrs: Attrs) -> str | None:
    """None, or why ONNX Runtime's MoE cannot compute this."""
    if w.inputs[1] not in w.routed:
        return "what the router gives is changed before the experts"
    _, router = w.routed[w.inputs[1]]
    negative = router.get("score", "softmax") == "logits" and router.get("weights", "as_scored") != "softmax_selected"
    if negative or router.get("scale", 1) <= 0:
        return "weights may be negative"
    if attrs.get("weigh", "output") == "input":
        return "weights multiply inputs"
    if attrs.get("inner_norm"):
        return "there is a norm inside an expert"
    if attrs.get("identities"):
        return "some choices are no experts"
    bias = set(attrs.get("bias", []))
    if attrs["gated"]:
        if attrs.get("function") not in ("silu", "gelu_quick"):
            return f"the gate is {attrs.get('function')}"
        return "only one of gate and up has a bias" if len(bias & {"gate", "up"}) == 1 else None
    return None if attrs.get("function") in PLAIN else f"the activation is {attrs.get('function')}"


def _fused(w: Writer, node: Node) -> str:
    attrs = node.attrs
    logits, factor = _choice(w, attrs)
    bias = attrs.get("bias", [])
    more: dict[str, float | str | None] = {"activation_type": PLAIN.get(attrs.get("function"))}
    if attrs["gated"]:  # gate · sigmoid(alpha · gate) · (up + beta)
        first, first_bias = w.interleaved("gate", "up"), w.interleaved("gate_bias", "up_bias") if "up" in bias else ""
        more = {
            "activation_type": "swiglu", "swiglu_fusion": 1, "activation_beta": float(attrs.get("up_offset", 0)),
            "activation_alpha": 1.702 if attrs["function"] == "gelu_quick" else 1.0,
            "swiglu_limit": float(attrs["clamp"]) if attrs.get("clamp") else None,
        }  # fmt: skip
    else:
        first, first_bias = w.param("up"), w.param("up_bias") if "up" in bias else ""
    last_bias = w.param("down_bias") if "down" in bias else ""
    rows = w.op("Reshape", logits, w.ints(-1, attrs["n_experts"]))
    # With normalize_routing_weights = 0 version 1.31.1 (CPU) lets its output overwrite its input before that is read:
    # wrong unless something reads the input later. So it always divides by the weights' sum, and `factor` undoes that.
    y = w.fused(FUSED_NAME, w.inputs[0], rows, first, first_bias, w.param("down"), last_bias, k=attrs["top_k"],
                normalize_routing_weights=1, **more)  # fmt: skip
    return w.op("Mul", y, factor) if factor else y


def _choice(w: Writer, attrs: Attrs) -> tuple[str, str]:
    """Logits (B, S, E) whose softmax over the best k is the weights divided by their sum, and what gives that back.

    Where the router is no softmax of its logits alone: the weights' logarithms, a huge negative number elsewhere.
    """
    logits, router = w.routed[w.inputs[1]]
    ways = (router.get("score", "softmax"), router.get("weights", "as_scored"))
    plain = not any(router.get(name) for name in ("select_bias", "groups", "eps"))
    if plain and ways in (("softmax", "sum_to_one"), ("logits", "softmax_selected")):
        scale = router.get("scale", 1)
        return logits, w.number(scale) if scale != 1 else ""
    total = w.op("ReduceSum", w.inputs[1], w.ints(-1), keepdims=1)
    if plain and ways == ("softmax", "as_scored"):
        return logits, total
    logs = w.float(w.op("Log", w.op("Max", w.cast(w.inputs[1], "fp32"), w.single(1e-30))))
    nowhere = w.op("Expand", w.number(LOWEST), w.op("Shape", logits))
    return w.op("ScatterElements", nowhere, w.inputs[2], logs, axis=-1), total


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

    def down(x: str) -> str:
        if attrs.get("inner_norm"):
            assert w.node is not None
            roles = [role for role in w.node.params if role.startswith("inner_norm.")]
            own = {r.removeprefix("inner_norm."): w.op("Gather", w.param(r), w.whole(e), axis=0) for r in roles}
            x = normed(w, attrs["inner_norm"], x, attrs["d_ff"], own)
        return linear(x, "down")

    function = attrs.get("function") or "identity"
    up = linear(x, "up")
    if not attrs["gated"]:
        return down(apply(w, up, function))
    gate, clamp = linear(x, "gate"), attrs.get("clamp")
    if clamp:
        gate = w.op("Clip", gate, "", w.number(clamp))
        up = w.op("Clip", up, w.number(-clamp), w.number(clamp))
    if attrs.get("up_offset", 0):
        up = w.op("Add", up, w.number(attrs["up_offset"]))
    return down(w.op("Mul", apply(w, gate, function), up))
