"""Reformer's attention by hashing (arXiv 2001.04451): queries and keys are one, similar rows meet in sorted chunks.

Inputs: shared queries and keys (B, H, S, D), values (B, H, S, D), key mask (B, S). Keys are the rows divided by their
root mean square and by sqrt(D). In each of `rounds` rounds a row's bucket is the largest of its products with
`buckets`/2 random directions and their opposites; rows are sorted by bucket, then place, and cut into chunks of
`chunk`; a chunk sees itself, the `behind` - 1 chunks before and the `ahead` after it, where the chunks of all rounds
form one ring. A row sees itself only if it sees nothing else, and never later rows. Rounds are joined by their softmax
denominators. Up to one chunk the attention is dense. Directions are drawn in float32 from `seed`.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType, size
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op

HIDDEN, ALONE = -1e9, -1e5  # scores of hidden keys and of a row's own key, as published


class LshAttention(Op):
    name = "lsh_attention"
    kind = "attention"
    saves = ("inputs", "outputs")
    fields = {"chunk": REQUIRED, "behind": 1, "ahead": 0, "rounds": 1, "buckets": REQUIRED, "seed": 0,
              "at_least": "fp32"}  # fmt: skip
    n_inputs = (3, 3)

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        b, heads, s, d = (size(x, env) for x in inputs[0].shape)
        if s <= attrs["chunk"]:
            return Flops(4 * b * heads * s * s * d, 2 * b * heads * s * (s + 1) * d)
        seen = attrs["chunk"] * (attrs.get("behind", 1) + attrs.get("ahead", 0))
        n = b * heads * s * attrs.get("rounds", 1) * (4 * seen * d + attrs["buckets"] * d)
        return Flops(n, n)

    def inside(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        """Sorted queries, keys and values of every round."""
        return 3 * inputs[0].elements(env) * attrs.get("rounds", 1)

    def lookahead(self, attrs: Attrs) -> str | None:
        return "buckets are sorted over the whole sequence"


OP = LshAttention()
