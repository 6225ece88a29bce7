"""Attention to compressed blocks of keys, and what it says of larger blocks (arXiv 2502.11089, sections 3.3.1, 3.3.2).

Inputs: q (B, H, S, D), compressed k and v (B, G, T // stride, D) of `compress_blocks`, key mask (B, T). A query sees
a compressed key once its stride lies wholly before it, unless all of the block is padding, and always the `learned`
keys (roles `learned_k`, `learned_v` (G, learned, D)).

Outputs: values (B, H, S, D); importance (B, H or G, S, T // select) of each selectable block, which lies wholly before
the query: the mean of the scores, before the softmax, of the compressed keys that end in it; -inf where there is
nothing to select. `share` "kv_group" takes the mean over the query heads of a key head too.

The rule is that of native-sparse-attention-pytorch 0.2.3; the paper sums softmax shares instead (equations 8 to 10).
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType, size
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op
from compiler.ops.compress_blocks.shape import blocks


class BlockAttention(Op):
    name = "block_attention"
    kind = "attention"
    saves = ("inputs", "outputs")
    fields = {"block": REQUIRED, "stride": REQUIRED, "select": REQUIRED, "share": "head", "learned": 0,
              "scale": REQUIRED, "at_least": "fp32"}  # fmt: skip
    n_inputs = (4, 4)

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        q, k, v = (x.shape for x in inputs[:3])
        if int(q[1]) % int(k[1]):
            return f"{q[1]} heads are not a multiple of {k[1]} key/value heads"
        if k != v or q[3] != k[3] or k[2] != blocks(q[2], attrs["stride"]):
            return f"q {q}, k {k} and v {v} do not fit"
        return f"{attrs['select']} is no multiple of the stride" if attrs["select"] % attrs["stride"] else None

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        b, heads, rows, _ = inputs[0].shape
        choosers = inputs[1].shape[1] if attrs.get("share") == "kv_group" else heads
        return inputs[0], TensorType(attrs["at_least"], (b, choosers, rows, blocks(rows, attrs["select"])))

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        shape = (int(inputs[1].shape[1]), attrs.get("learned", 0), int(inputs[1].shape[3]))
        return {"learned_k": shape, "learned_v": shape} if attrs.get("learned") else {}

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        b, heads, new, d = (size(x, env) for x in inputs[0].shape)
        keys, learned, stride = size(inputs[1].shape[2], env), attrs.get("learned", 0), attrs["stride"]
        total = env["T"] if inputs[0].shape[2] == "S" else new
        seen = _seen(total, stride) - _seen(total - new, stride)
        return Flops(*(4 * b * heads * d * (pairs + new * learned) for pairs in (new * keys, seen)))

    def inside(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        """Scores are read twice, so that every way of writing it holds them."""
        b, heads, new, _ = (size(x, env) for x in inputs[0].shape)
        return b * heads * new * (size(inputs[1].shape[2], env) + attrs.get("learned", 0))


def _seen(tokens: int, stride: int) -> int:
    """Compressed keys that the first `tokens` queries see together: query i sees i // stride."""
    whole, rest = divmod(tokens, stride)
    return stride * whole * (whole - 1) // 2 + rest * whole


OP = BlockAttention()
