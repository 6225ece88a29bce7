"""Performer's positive random features (arXiv 2009.14794, lemma 1): x (B, H, S, D) -> (B, H, S, features).

phi(x) = (exp(w·x' - |x'|²/2 - max) + eps)/sqrt(features) with x' = x·D^(-1/4); the maximum is over the features for
queries, over features and the whole sequence for keys (performer-pytorch), whose padding is left out: keys may come
with which tokens are real (B, T). The projection (features, D) is stored.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op


class RandomFeatures(Op):
    name = "random_features"
    fields = {"features": REQUIRED, "eps": 1e-4, "keys": False}
    n_inputs = (1, 2)

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].dtype, (*inputs[0].shape[:3], attrs["features"])),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        return {"projection": (attrs["features"], int(inputs[0].shape[-1]))}

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        n = 2 * inputs[0].elements(env) * attrs["features"]
        return Flops(n, n)

    def lookahead(self, attrs: Attrs) -> str | None:
        return "its key stabiliser is a maximum over the whole sequence" if attrs.get("keys") else None


OP = RandomFeatures()
