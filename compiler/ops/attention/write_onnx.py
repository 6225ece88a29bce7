"""The standard Attention over keys and values with their past; plain arithmetic where its order of steps differs."""

from compiler.emit.onnx.blocks import Scored
from compiler.emit.onnx.masks import Rows, hidden_as, visible
from compiler.emit.onnx.sheet import LOCAL
from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.masks.facts import shows_itself
from compiler.ops.attention.onnx_keys import extras, joined

FIELDS = (
    "mask",
    "scale",
    "softcap",
    "mask_inputs",
    "bias_at",
    "cross",
    "empty_rows",
    "extra",
    "compressed",
    "sink",
    "at_least",
)
STATE = "cache"


def write(w: Writer, node: Node) -> str:
    attrs = node.attrs
    q, k, v, key_mask, *rest = w.inputs
    q_type, k_type, v_type = w.types[:3]
    names, at = attrs.get("mask_inputs", []), attrs.get("bias_at", [])
    biases = tuple(
        w.op("Mul", bias, w.number(attrs["scale"])) if where == "before_scale" else bias
        for bias, where in zip(rest[len(names) :][: len(at)], at, strict=True)
        if where != "extra"
    )
    total = k_type.shape[2] if attrs.get("cross") else w.key_length(k_type)
    if not attrs.get("cross"):
        k, v = remember(w, k, v, int(k_type.shape[1]), int(k_type.shape[3]), int(v_type.shape[3]))
    scored = Scored(q, k, int(q_type.shape[1]), int(k_type.shape[1]), int(q_type.shape[3]))
    rows = Rows(q_type.shape[2], total, dict(zip(names, rest, strict=False)), scored)
    seen = visible(w, attrs["mask"], rows, key_mask, attrs.get("empty_rows", "zeros"))
    groups, hidden = int(q_type.shape[1]) // int(k_type.shape[1]), ""
    if attrs.get("extra") or attrs.get("sink"):
        sink = w.param("sink") if attrs.get("sink") else ""
        k, v, hidden, biases = joined(w, (q_type, k_type, v_type), k, v, seen, biases, extras(w, node), sink)
    y = attend(w, q, k, v, seen, biases, attrs["scale"], attrs.get("softcap"), groups, hidden)
    full = attrs["mask"]["type"] == "full" or attrs.get("empty_rows") == "all"
    # A row that sees itself is empty at padding only, which nobody reads, unless real rows were pooled with padding.
    own = not attrs.get("cross") and shows_itself(attrs["mask"]) and str(q_type.shape[2]).isidentifier()
    if not biases or hidden or full or own:
        return y
    # Scores with biases are hidden by numbers, among which a row that sees nothing finds a mean of all.
    some = _some(w, seen) if seen.startswith(LOCAL) else w.shared(key_of("seen by", seen), lambda m: _some(m, seen))
    return w.op("Where", some, y, w.number(0.0))


def _some(w: Writer, seen: str) -> str:
    return w.cast(w.op("ReduceMax", w.cast(seen, "int32"), w.ints(-1), keepdims=1), "bool")


def remember(w: Writer, k: str, v: str, heads: int, key_width: int, value_width: int) -> tuple[str, str]:
    """Keys and values (B, heads, T, width) with those of earlier steps in front."""
    past = w.past()
    if not past[0]:
        return k, v
    present = w.op("Concat", past[0], k, axis=2), w.op("Concat", past[1], v, axis=2)
    w.keep(past, present, heads, key_width, value_width)
    return present


def attend(
    w: Writer,
    q: str,
    k: str,
    v: str,
    seen: str,
    biases: tuple[str, ...],
    scale: float,
    softcap: float | None,
    groups: int,
    hidden: str = "",
) -> str:
    """q (B, H, S, D), k and v (B, G, T, D), seen bool up to (B, H, S, T), biases added after the scale.

    hidden: a float mask (B, H, S, T) that stands for `seen`.
    """
    if softcap and biases:  # the standard adds its mask after the cap, here the bias comes before it
        return _plain(w, q, k, v, hidden or hidden_as(w, seen), biases, scale, softcap, groups)
    mask = hidden or (hidden_as(w, seen, biases) if biases else seen)
    for bias in biases if hidden else ():
        mask = w.op("Add", mask, bias)
    return w.op("Attention", q, k, v, mask, scale=scale, softcap=softcap or None, softmax_precision=1)


def _plain(
    w: Writer, q: str, k: str, v: str, hidden: str, biases: tuple[str, ...], scale: float, softcap: float, groups: int
) -> str:
    if groups > 1:
        k, v = _repeated(w, k, groups), _repeated(w, v, groups)
    scores = w.op("Mul", w.op("MatMul", q, w.op("Transpose", k, perm=[0, 1, 3, 2])), w.number(scale))
    for bias in biases:
        scores = w.op("Add", scores, bias)
    cap = w.number(softcap)
    scores = w.op("Mul", w.op("Tanh", w.op("Div", scores, cap)), cap)
    wide = w.cast(w.op("Add", scores, hidden), "fp32")
    return w.op("MatMul", w.float(w.op("Softmax", wide, axis=-1)), v)


def _repeated(w: Writer, x: str, groups: int) -> str:
    """(B, G, T, D) -> (B, G·groups, T, D), each head `groups` times in a row."""
    each = w.op("Expand", w.op("Unsqueeze", x, w.ints(2)), w.ints(1, 1, groups, 1, 1))
    return w.op(
        "Reshape", each, w.op("Concat", w.op("Shape", x, start=0, end=1), w.ints(-1), w.op("Shape", x, start=2), axis=0)
    )
