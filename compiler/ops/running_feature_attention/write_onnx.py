"""A decay by head around a running maximum; the sums that do not decay are plain ones."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ir.types import TensorType
from compiler.ops.linear_attention.write_onnx import attend
from compiler.ops.mask_rows.write_onnx import rows
from compiler.ops.merge_heads.write_onnx import merge

FIELDS = ("features", "eps", "scale", "key_sum", "eps_at", "at_least")
STATE = "own"
NOTHING = -1e30  # below every exponent: no real token yet


def write(w: Writer, node: Node) -> str:
    attrs, (q, k, v, mask) = node.attrs, w.inputs
    (batch, heads, symbol, width), value_width = w.types[1].shape, int(w.types[2].shape[3]) + 1
    heads, features = int(heads), attrs["features"]
    scaled = w.op("Mul", w.cast(k, "fp32"), w.single(int(width) ** -0.25))
    exponents = w.op("MatMul", scaled, w.cast(w.param("projection", transposed=True), "fp32"))  # (B, H, S, F)
    tops = w.op("ReduceMax", exponents, w.ints(-1), keepdims=1)
    values = w.op("Concat", w.cast(v, "fp32"), w.op("Add", w.op("Mul", tops, w.single(0)), w.single(1)), axis=3)
    if mask:
        real = w.shared(f"rows {mask} {symbol} 4", lambda m: rows(m, mask, symbol, w.types[3].shape[1], (1, 3)))
        values = w.op("Mul", values, w.cast(real, "fp32"))
        tops = w.op("Where", w.cast(real, "bool"), tops, w.single(NOTHING))
    before, now = _running(w, TensorType("fp32", (batch, heads)), w.op("Squeeze", tops, w.ints(3)))
    before, now = (w.op("Unsqueeze", x, w.ints(3)) for x in (before, now))  # (B, H, S, 1)
    decay = w.op("Where", _known(w, before), w.op("Sub", before, now), w.single(0))
    less = w.op("Mul", w.op("ReduceSum", w.op("Mul", scaled, scaled), w.ints(-1), keepdims=1), w.single(0.5))
    raised = w.op("Exp", w.op("Sub", w.op("Min", w.op("Sub", exponents, now), w.single(0)), less))
    flat_q, flat_k = (merge(w, w.float(x), heads * features) for x in (q, raised))
    flat_v, flat_decay = merge(w, w.float(values), heads * value_width), merge(w, w.float(decay), heads)
    y = attend(w, flat_q, flat_k, flat_v, flat_decay, "", heads, features, value_width, batch)
    y = w.op("Transpose", w.op("Reshape", y, w.ints(0, 0, heads, value_width)), perm=[0, 2, 1, 3])
    total = w.op("ReduceSum", w.cast(q, "fp32"), w.ints(-1), keepdims=1)  # (B, H, S, 1)
    sums = _sums(w, values, TensorType("fp32", (batch, heads, value_width)))
    y = w.op("Add", w.cast(y, "fp32"), w.op("Mul", w.op("Mul", total, w.single(attrs["eps"])), sums))
    y = w.op("Mul", y, w.single(features**-0.5))
    read, keys = w.many("Split", y, w.ints(value_width - 1, 1), outputs=2, axis=3)
    read = w.op("Mul", read, w.single(attrs["scale"]))
    if (eps := attrs.get("key_sum")) is None:
        return w.float(read)
    share = w.op("Mul", total, w.single(eps)) if attrs.get("eps_at") == "keys" else w.single(eps)
    return w.float(w.op("Div", read, w.op("Add", keys, share)))


def _running(w: Writer, kept: TensorType, tops: str) -> tuple[str, str]:
    """The greatest of tops (B, H, S) before each token and with it, earlier steps counted."""
    past, seen = w.before("top", kept), w.before("seen", kept)
    start = w.op("Where", w.cast(seen, "bool"), past, w.single(NOTHING))

    def each(m: Writer, states: tuple[str, ...], now: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return (m.op("Max", states[0], now[0]),), (m.op("Max", states[0], now[0]), m.op("Identity", states[0]))

    (last,), (after, before) = w.scan(each, [start], [tops], outputs=2, axis=2)
    known = _known(w, last)
    w.after("top", kept, past, w.op("Where", known, last, w.single(0)))
    w.after("seen", kept, seen, w.cast(known, "fp32"))
    return before, after


def _known(w: Writer, x: str) -> str:
    return w.op("Greater", x, w.single(NOTHING / 2))


def _sums(w: Writer, values: str, kept: TensorType) -> str:
    """Running sums of values (B, H, S, n)."""
    past = w.before("plain", kept)
    sums = w.op("Add", w.op("CumSum", values, w.whole(2)), w.op("Unsqueeze", past, w.ints(2)))
    last = w.op("Slice", sums, w.ints(-1), w.ints(2**31 - 1), w.ints(2))
    w.after("plain", kept, past, w.op("Squeeze", last, w.ints(2)))
    return sums
