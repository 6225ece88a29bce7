"""Self-attention from flat projections to flat output: heads split, q and k normed, turned, attended, heads joined.

Inputs: q (B, S, H·D), k (B, S, G·D), v (B, S, G·Dv), or the packed [q | k | v] (B, S, (H + 2G)·D) with k and v absent;
positions (B, S), absent without rope; key mask (B, T) or absent. Output (B, S, H·Dv).
`rope`: the fields of `rope`, or None. `qk_norm`: {"norm": "rms_norm" | "layer_norm", the fields of that norm} over each
head before the rotation, or None. `mask`, `scale`, `softcap`, `sink` and `at_least` as in `attention`; a row that sees
nothing gives zeros. FLOPs and state are those of the `attention` inside.
"""

from collections.abc import Sequence

from compiler import ops
from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op, StateTensor

NORMS = ("rms_norm", "layer_norm")


class GroupedQueryAttention(Op):
    name = "grouped_query_attention"
    kind = "attention"
    saves = ("inputs", "outputs")
    fields = {"heads": REQUIRED, "kv_heads": REQUIRED, "mask": REQUIRED, "scale": REQUIRED, "softcap": None,
              "rope": None, "qk_norm": None, "sink": False, "at_least": "fp32"}  # fmt: skip
    n_inputs = (5, 5)

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        heads, groups = attrs["heads"], attrs["kv_heads"]
        if heads % groups:
            return f"{heads} heads are not a multiple of {groups} key/value heads"
        if packed(inputs) != (inputs[2].dtype == "absent"):
            return "k and v must both be given or both be absent"
        if packed(inputs):
            width = int(inputs[0].shape[-1])
            if width % (heads + 2 * groups):
                return f"packed width {width} is not {heads} + 2·{groups} heads of one size"
        else:
            q, k, v = (int(x.shape[-1]) for x in inputs[:3])
            if q % heads or k % groups or v % groups or q // heads != k // groups:
                return f"widths q {q}, k {k}, v {v} do not fit {heads} heads over {groups}"
        if (attrs.get("rope") is None) != (inputs[3].dtype == "absent"):
            return "positions go with rope"
        qk_norm = attrs.get("qk_norm")
        if qk_norm is not None and qk_norm["norm"] not in NORMS:
            return f"no norm {qk_norm['norm']!r}, only {', '.join(NORMS)}"
        if attrs.get("rope") is not None:
            return ops.get("rope").check([split(inputs, attrs)[0], inputs[3]], attrs["rope"])
        return None

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        width = int(split(inputs, attrs)[2].shape[3])
        return (TensorType(inputs[0].dtype, (*inputs[0].shape[:2], attrs["heads"] * width)),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        sink, qk_norm = {"sink": (int(attrs["heads"]),)} if attrs.get("sink") else {}, attrs.get("qk_norm")
        if qk_norm is None:
            return dict(sink)
        q = split(inputs, attrs)[0]
        own = ops.get(qk_norm["norm"]).params([q], qk_norm)
        return sink | {f"{part}.{role}": shape for part in ("q_norm", "k_norm") for role, shape in own.items()}

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        return ops.get("attention").flops(split(inputs, attrs), attrs, env)

    def inside(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        """q and k turned, and the two products that make them, where no compiler joins these."""
        if attrs.get("rope") is None:
            return 0
        q, k, _ = split(inputs, attrs)
        return 3 * (q.elements(env) + k.elements(env)) - self.infer(inputs, attrs)[0].elements(env)

    def scores(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        return ops.get("attention").scores(split(inputs, attrs), attrs, env)

    def mask_elements(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        return ops.get("attention").mask_elements(split(inputs, attrs), attrs, env)

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        return ops.get("attention").state(split(inputs, attrs), attrs)

    def lookahead(self, attrs: Attrs) -> str | None:
        return ops.get("attention").lookahead(attrs)

    def whole_prompt(self, attrs: Attrs) -> bool:
        return ops.get("attention").whole_prompt(attrs)

    def changes_beyond(self, attrs: Attrs) -> int | None:
        return None if attrs.get("rope") is None else ops.get("rope").changes_beyond(attrs["rope"])


def packed(inputs: Sequence[TensorType]) -> bool:
    """True where the first input holds q, k and v side by side."""
    return inputs[1].dtype == "absent"


def split(inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, TensorType, TensorType]:
    """Types of q (B, H, S, D), k (B, G, S, D) and v (B, G, S, Dv) as the attention inside sees them."""
    heads, groups = attrs["heads"], attrs["kv_heads"]
    b, s, width = inputs[0].shape
    if packed(inputs):
        d = d_value = int(width) // (heads + 2 * groups)
    else:
        d, d_value = int(width) // heads, int(inputs[2].shape[-1]) // groups
    dtype = inputs[0].dtype
    return (TensorType(dtype, (b, heads, s, d)), TensorType(dtype, (b, groups, s, d)),
            TensorType(dtype, (b, groups, s, d_value)))  # fmt: skip


OP = GroupedQueryAttention()
