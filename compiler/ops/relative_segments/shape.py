"""Scores (B, H, S, T) of queries with a learned vector for "same segment" and one for "another" (XLNet, arXiv
1906.08237, section 2.5): (q + bias)·vectors[0 or 1].

Inputs: q (B, H, S, D), segment ids of queries (B, S) and of keys (B, T). skip_first: zero for the first query and key.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType, size
from compiler.ops.base import Attrs, Env, Flops, Op


class RelativeSegments(Op):
    name = "relative_segments"
    fields = {"skip_first": False}
    n_inputs = (3, 3)

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType("float", (*inputs[0].shape[:3], inputs[2].shape[1])),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        heads, d = int(inputs[0].shape[1]), int(inputs[0].shape[3])
        return {"vectors": (2, heads, d), "bias": (heads, d)}

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        b, heads, s, d = (size(x, env) for x in inputs[0].shape)
        return Flops(4 * b * heads * s * d, 4 * b * heads * s * d)


OP = RelativeSegments()
