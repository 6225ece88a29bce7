"""Attention to a few chosen blocks of keys and to the own one (arXiv 2502.11089, section 3.3.2).

Inputs: q (B, H, S, D), k and v (B, G, S, D), importance (B, H or G, S, T // block) of each block, -inf where it may
not be chosen, key mask (B, T). A query sees the `count` most important blocks, those left out whose share of a softmax
over importance is at most `least_share`, and its own block up to itself.

native-sparse-attention-pytorch 0.2.3 puts a score of -1000 beside those of the softmax; here there is none.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType, size
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op, StateTensor
from compiler.ops.compress_blocks.shape import blocks


class SelectAttention(Op):
    name = "select_attention"
    kind = "attention"
    saves = ("inputs", "outputs")
    fields = {"block": REQUIRED, "count": REQUIRED, "least_share": 0.0, "scale": REQUIRED, "at_least": "fp32"}
    n_inputs = (5, 5)

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        q, k, v, importance = (x.shape for x in inputs[:4])
        if int(q[1]) % int(k[1]) or importance[1] not in (q[1], k[1]):
            return f"{q[1]} heads, {k[1]} key/value heads and {importance[1]} choosers do not fit"
        if k != v or (k[0], *k[2:]) != (q[0], *q[2:]) or importance[3] != blocks(q[2], attrs["block"]):
            return f"q {q}, k {k}, v {v} and importance {importance} do not fit"
        return None

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (inputs[0],)

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        """Dense: as many whole blocks for every query; exact: what there is to choose, no later key of the own one."""
        b, heads, new, d = (size(x, env) for x in inputs[0].shape)
        total = env["T"] if inputs[0].shape[2] == "S" else new
        block, count = attrs["block"], attrs["count"]
        dense = new * block * (min(count, total // block) + 1)
        exact = _seen(total, block, count) - _seen(total - new, block, count)
        return Flops(4 * b * heads * d * dense, 4 * b * heads * d * exact)

    def scores(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        b, heads, new = (size(x, env) for x in inputs[0].shape[:3])
        return b * heads * new * (env["T"] if inputs[0].shape[2] == "S" else new)

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        """Any block of the past may be chosen, so that all keys stay."""
        b, groups, rows, d = inputs[1].shape
        if rows != "S":
            return ()
        return tuple(StateTensor(name, (b, groups, "T", d), "cache") for name in ("k", "v"))

    def moved(self, state: StateTensor, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> float:
        """Few queries read their own choice alone."""
        return min(1.0, size(inputs[0].shape[2], env) * attrs["block"] * (attrs["count"] + 1) / env["T"])


def _seen(tokens: int, block: int, count: int) -> int:
    """Keys that the first `tokens` queries see together."""
    whole, rest = divmod(tokens, block)
    own = whole * block * (block + 1) // 2 + rest * (rest + 1) // 2
    few = min(whole, count + 1)  # blocks of queries that choose all there is
    chosen = block * (few * (few - 1) // 2 + (whole - few) * count) + rest * min(count, whole)
    return own + block * chosen


OP = SelectAttention()
