"""ONNX Runtime's LinearAttention, or a Scan over the tokens; all keys at once where nothing is causal."""

import math

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ir.types import TensorType
from compiler.ops.merge_heads.write_onnx import merge

FUSED_NAME = "LinearAttention"
FIELDS = ("scale", "rates", "gated", "rule", "key_sum", "eps_at", "mask", "at_least")
STATE = "own"


def write(w: Writer, node: Node) -> str:
    attrs = node.attrs
    q, k, v, *rest = w.inputs
    (batch, heads, symbol, width), value_width = w.types[0].shape, w.types[2].shape[3]
    if attrs.get("mask") == "full":
        return _all_at_once(w, q, k, v, attrs["scale"], attrs.get("key_sum"), attrs.get("eps_at") == "keys")
    decay = merge(w, rest.pop(0), int(heads) * int(w.types[3].shape[3])) if attrs.get("gated") else ""
    if attrs.get("rates") is not None:
        if min(attrs["rates"]) <= 0:
            w.refuse(f"a decay of {min(attrs['rates'])}")
        sizes = w.op("Concat", w.length(batch), w.length(symbol), w.ints(int(heads)), axis=0)
        fixed = w.op("Expand", w.numbers([math.log(rate) for rate in attrs["rates"]]), sizes)
        if decay and w.types[3].shape[3] != 1:
            w.refuse("fixed and gated decays together")
        decay = w.op("Add", decay, fixed) if decay else fixed
    beta = merge(w, rest.pop(0), int(heads)) if attrs.get("rule") == "delta" else ""
    flat_q, flat_k = (merge(w, x, int(heads) * int(width)) for x in (q, k))
    flat_v = merge(w, v, int(heads) * int(value_width))
    y = attend(w, flat_q, flat_k, flat_v, decay, beta, int(heads), int(width), int(value_width), batch)
    y = w.op("Transpose", w.op("Reshape", y, w.ints(0, 0, int(heads), int(value_width))), perm=[0, 2, 1, 3])
    y = w.op("Mul", y, w.number(attrs["scale"])) if attrs["scale"] != 1 else y
    if attrs.get("key_sum") is None:
        return y
    kept = TensorType("fp32", (batch, heads, width))
    past = w.before("key_sum", kept)
    total = w.op("CumSum", w.cast(k, "fp32"), w.whole(2))
    total = w.op("Add", total, w.op("Unsqueeze", past, w.ints(2)))  # (B, H, S, K)
    last = w.op("Slice", total, w.ints(-1), w.ints(2**31 - 1), w.ints(2))
    w.after("key_sum", kept, past, w.op("Squeeze", last, w.ints(2)))
    return _shares(w, y, q, total, attrs["key_sum"], attrs.get("eps_at") == "keys")


def attend(
    w: Writer, q: str, k: str, v: str, decay: str, beta: str, heads: int, width: int, value_width: int, batch: int | str
) -> str:
    """What each query reads of s = exp(decay)∘s + k vᵀ, unscaled: q, k (B, S, H·K), v (B, S, H·V) -> (B, S, H·V).

    decay: logarithms (B, S, H) or (B, S, H·K), or "". beta (B, S, H) or "": k writes beta·(v - s k) instead of v. The
    state s (B, H, K, V) is carried.
    """
    kept = TensorType("fp32", (batch, heads, width, value_width))
    past = w.before("s", kept)
    if w.target.has(FUSED_NAME):
        rule = ("gated_" if decay and beta else "gated" if decay else "") + ("delta" if beta else "")
        y, present = w.many(
            FUSED_NAME, q, k, v, past, decay, beta, outputs=2, domain="com.microsoft", q_num_heads=heads,
            kv_num_heads=heads, update_rule=rule or "linear", scale=1.0,
        )  # fmt: skip
    else:
        y, present = _scanned(w, [q, k, v, decay, beta], past, heads)
    w.after("s", kept, past, present)
    return y


def _scanned(w: Writer, flat: list[str], past: str, heads: int) -> tuple[str, str]:
    """The plain recurrence, token by token."""
    given = [x for x in flat if x]
    rows = [w.cast(w.op("Reshape", x, w.ints(0, 0, heads, -1)), "fp32") for x in given]  # (B, S, H, n)
    gated, delta = bool(flat[3]), bool(flat[4])
    if gated:
        rows[3] = w.op("Exp", rows[3])

    def each(m: Writer, states: tuple[str, ...], now: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        s, (q, k, v, *rest) = states[0], now
        if gated:
            s = m.op("Mul", s, m.op("Unsqueeze", rest.pop(0), m.ints(-1)))
        row, column = m.op("Unsqueeze", k, m.ints(-2)), m.op("Unsqueeze", k, m.ints(-1))
        v = m.op("Unsqueeze", v, m.ints(-2))  # (B, H, 1, V)
        if delta:
            v = m.op("Mul", m.op("Sub", v, m.op("MatMul", row, s)), m.op("Unsqueeze", rest.pop(0), m.ints(-1)))
        s = m.op("Add", s, m.op("Mul", column, v))
        y = m.op("Squeeze", m.op("MatMul", m.op("Unsqueeze", q, m.ints(-2)), s), m.ints(-2))  # (B, H, V)
        return (s,), (y,)

    (present,), (y,) = w.scan(each, [past], rows)
    return w.float(w.op("Reshape", y, w.ints(0, 0, -1))), present


def _all_at_once(w: Writer, q: str, k: str, v: str, scale: float, eps: float | None, on_keys: bool) -> str:
    y = w.op("MatMul", q, w.op("MatMul", w.op("Transpose", k, perm=[0, 1, 3, 2]), v))
    y = w.op("Mul", y, w.number(scale)) if scale != 1 else y
    if eps is None:
        return y
    return _shares(w, y, q, w.op("ReduceSum", w.cast(k, "fp32"), w.ints(2), keepdims=1), eps, on_keys)


def _shares(w: Writer, y: str, q: str, total: str, eps: float, on_keys: bool) -> str:
    """y / (q · total + eps), or y / (q · (total + eps)), in fp32."""
    if on_keys:
        total, eps = w.op("Add", total, w.single(eps)), 0
    read = w.op("ReduceSum", w.op("Mul", w.cast(q, "fp32"), total), w.ints(-1), keepdims=1)
    return w.float(w.op("Div", w.cast(y, "fp32"), w.op("Add", read, w.single(eps)) if eps else read))
