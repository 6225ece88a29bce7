"""Attention in levels, near keys one by one and far ones in groups (H-Transformer-1D, arXiv 2107.11906, section 6).

Inputs: q, k, v (B, H, S, D), key mask. The sequence is padded to `block` · a power of two, at least `coarsest` blocks.
At level l a row stands for a group of 2^l: the mean of its real queries and keys, the sum of its values. Every block of
`block` rows attends to itself at level 0, and at every level to its neighbour in a pair of blocks (0 and 1, 2 and 3,
...), until `coarsest` blocks are left: no pair of tokens meets at two levels. A level gives each row the sums of
exp(s - m)·v and of exp(s - m), m its own largest score at that level; a group's sums count for all its tokens. The
result is values over weights, both added over all levels, the weights with `eps`.

After h-transformer-1d 0.1.9: a group's values are summed while its weight counts once (in the paper's normaliser it
counts as often as it has tokens), and 4 blocks are left at the coarsest level, so that the halves of a sequence do not
meet (the paper leaves 2). Where a row's whole neighbour is padding, that package weighs hidden keys like visible ones;
here they count nothing.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType, size
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op


class HierarchicalAttention(Op):
    name = "hierarchical_attention"
    kind = "attention"
    saves = ("inputs", "outputs")
    fields = {"block": REQUIRED, "coarsest": 4, "scale": REQUIRED, "eps": 1e-8, "at_least": "fp32"}
    n_inputs = (4, 4)

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        q, k, v = (x.shape for x in inputs[:3])
        if q != k or k != v:
            return f"q {q}, k {k} and v {v} differ"
        coarsest = attrs.get("coarsest", 4)
        return None if coarsest > 1 and coarsest & (coarsest - 1) == 0 else f"{coarsest} blocks, wanted a power of two"

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        """Dense: every pair of blocks that is looked at; exact: rows that stand for some token only."""
        b, heads, length, d = (size(x, env) for x in inputs[0].shape)
        block = attrs["block"]
        rows, (whole, rest) = padded(length, attrs), divmod(length, block)
        dense, exact = rows * block, whole * block**2 + rest**2
        while True:
            dense += rows * block
            exact += _neighbours(length, block)
            if rows == block * attrs.get("coarsest", 4):
                return Flops(4 * b * heads * d * dense, 4 * b * heads * d * exact)
            rows, length = rows // 2, -(-length // 2)

    def inside(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        """Padded queries, keys and values of all levels, and the scores of the finest one, where most are."""
        b, heads, length, d = (size(x, env) for x in inputs[0].shape)
        return b * heads * padded(length, attrs) * (2 * 3 * d + attrs["block"])

    def lookahead(self, attrs: Attrs) -> str | None:
        return "queries and keys are averaged over groups, later tokens included"


def padded(length: int, attrs: Attrs) -> int:
    """Rows at level 0."""
    rows: int = attrs["block"] * attrs.get("coarsest", 4)
    while rows < length:
        rows *= 2
    return rows


def _neighbours(length: int, block: int) -> int:
    """Pairs of a row with a row of the neighbouring block, of `length` rows."""
    whole, rest = divmod(length, block)
    return 2 * (whole // 2) * block**2 + (2 * block * rest if whole % 2 else 0)


OP = HierarchicalAttention()
