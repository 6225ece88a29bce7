"""Bias (1, H, S, T) from a learned table by distance j - i: weight (buckets, heads) (T5, arXiv 1910.10683).

distance: log_buckets {buckets, max, sides}: half exact, half logarithmic up to `max`; two sides split the buckets by
sign. exact {max}: clipped to ±max. clip {left, right}. Bucketing follows transformers' _relative_position_bucket.
spacing: [stride, first] of queries and of keys, where row n stands at first + stride·n (pooled rows).
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class RelativeBias(Op):
    name = "relative_bias"
    kind = "table"
    saves = ()
    fields = {"heads": REQUIRED, "distance": REQUIRED, "spacing": None}
    n_inputs = (2, 2)  # q (B, H, S, D), k (B, G, T, D): only their lengths are read

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType("float", (1, attrs["heads"], inputs[0].shape[2], inputs[1].shape[2])),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        return {"weight": (rows(attrs["distance"]), attrs["heads"])}


def rows(distance: Attrs) -> int:
    """Table rows that a distance needs."""
    match distance["type"]:
        case "log_buckets":
            return int(distance["buckets"])
        case "exact":
            return 2 * int(distance["max"]) + 1
        case "clip":
            return int(distance["left"]) + int(distance["right"]) + 1
    raise ValueError(distance["type"])


OP = RelativeBias()
