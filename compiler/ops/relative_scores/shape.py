"""Scores (B, H, S, T) of queries with vectors r by distance, and of keys with them: terms q·r, v·r, k·r and s.

Inputs: q (B, H, S, D), k (B, G, T, D) (only its length is read unless `terms` has "k_r"), and either positions of
queries and keys (B, S), (B, T) where these are not their slots, or what is added to each query's slot (B, S). far: only
distances from 0 to below it matter, the scores of others are hidden afterwards. spacing: [stride, first] of queries and
of keys, whose rows stand at first + stride·n, not at n. skip_first: zero for the first query and for the first key.

vectors: "sinusoid" {layout, ladder, clamp}: sines and cosines of i - j, `width` wide, projected by r (H·D, width)
(Transformer-XL, arXiv 1901.02860, section 3.3), or the same ones for all heads where they are not `projected` and as
wide as a head (TENER, arXiv 1911.04474); "table" {distance, per_head}: a learned row for each distance j - i as
in `relative_bias` (Shaw et al., arXiv 1803.02155), for all heads or for each, and its `norm` {"norm": operator, its
fields} if rows go through one (parameters (D,)). v (H, D) is a learned query (their v_r),
s (H, rows) a learned number for each row of a table.
"""

from collections.abc import Sequence
from math import gcd

from compiler import ops
from compiler.ir.types import TensorType, size
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op
from compiler.ops.relative_bias.shape import rows


class RelativeScores(Op):
    name = "relative_scores"
    fields = {"vectors": REQUIRED, "terms": REQUIRED, "width": REQUIRED, "far": None,
              "spacing": None, "skip_first": False, "projected": True}  # fmt: skip
    n_inputs = (2, 4)

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        if not attrs.get("projected", True) and attrs["width"] != inputs[0].shape[3]:
            return "waves that are not projected are as wide as a head"
        return None if inputs[0].shape[3] == inputs[1].shape[3] else "q and k have different head sizes"

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType("float", (*inputs[0].shape[:3], inputs[1].shape[2])),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        heads, d = int(inputs[0].shape[1]), int(inputs[0].shape[3])
        vectors = attrs["vectors"]
        shapes: dict[str, tuple[int, ...]] = {"v": (heads, d)} if "v_r" in attrs["terms"] else {}
        if vectors["type"] == "sinusoid":
            return {"r": (heads * d, attrs["width"]), **shapes} if attrs.get("projected", True) else shapes
        count = rows(vectors["distance"])
        if (norm := vectors.get("norm")) is not None:
            own = ops.get(norm["norm"]).params([TensorType("float", (d,))], norm)
            shapes |= {f"norm.{role}": shape for role, shape in own.items()}
        shapes |= {"s": (heads, count)} if "s" in attrs["terms"] else {}
        return {"table": (heads, count, d) if vectors.get("per_head") else (count, d), **shapes}

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        b, heads, s, d = (size(x, env) for x in inputs[0].shape)
        total = env["T"] if inputs[1].shape[2] == "S" else size(inputs[1].shape[2], env)
        distances, width = self._distances(inputs, attrs, env), attrs["width"]
        n = 2 * b * heads * s * distances * d if {"q_r", "v_r"} & set(attrs["terms"]) else 0
        if attrs["vectors"]["type"] == "sinusoid" and attrs.get("projected", True):
            n += 2 * distances * heads * d * width
            if "k_r" not in attrs["terms"]:  # few queries go through the projection first
                n = min(n, 2 * b * heads * s * (d + distances) * width)
        if "k_r" in attrs["terms"]:
            n += 2 * b * heads * total * distances * d
        return Flops(n, n)

    def inside(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        """Scores with the vector of every distance, from which each pair takes one."""
        b, heads, s, _ = (size(x, env) for x in inputs[0].shape)
        return b * heads * s * self._distances(inputs, attrs, env)

    def _distances(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        if attrs["vectors"]["type"] == "table":
            return rows(attrs["vectors"]["distance"])
        total = env["T"] if inputs[1].shape[2] == "S" else size(inputs[1].shape[2], env)
        if attrs.get("far"):
            return int(attrs["far"]) if len(inputs) > 2 else min(int(attrs["far"]), total)
        strides = [stride for stride, _ in attrs.get("spacing") or [(1, 0), (1, 0)]]
        span = (size(inputs[0].shape[2], env) - 1) * strides[0] + (total - 1) * strides[1]
        return span // gcd(*strides) + 1


OP = RelativeScores()
