"""Causal attention by random features whose stabiliser is the greatest exponent so far (arXiv 2009.14794, lemma 1).

Inputs: features of queries (B, H, S, F), keys k (B, H, S, D), v (B, H, S, Dv), and which tokens are real (B, T) or
absent. Token t reads the keys s ≤ t by phi_t(k_s) = (exp(w·k' - |k'|²/2 - top_t) + eps)/sqrt(F) with k' = k·D^(-1/4)
and top_t the greatest w·k' of any feature and real token up to t: what performer-pytorch computes of the first t
tokens alone. y_t = scale·q_t·Σ phi_t(k_s) v_sᵀ; `key_sum` divides by q_t·Σ phi_t(k_s) + eps, `eps_at` "keys" by
q_t·(Σ phi_t(k_s) + eps). The projection w (F, D) is that of the queries.

The state is that of a decay by head: sums of exponentials shrink by exp(top_{t-1} - top_t), sums without them (for the
features' eps) do not.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType, size
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op, StateTensor


class RunningFeatureAttention(Op):
    name = "running_feature_attention"
    kind = "recurrence"
    fields = {"features": REQUIRED, "eps": REQUIRED, "scale": REQUIRED, "key_sum": None, "eps_at": "product",
              "at_least": "fp32"}  # fmt: skip
    n_inputs = (4, 4)

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        return None if inputs[0].shape[3] == attrs["features"] else "queries have another number of features"

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (inputs[2],)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        return {"projection": (attrs["features"], int(inputs[1].shape[3]))}

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        """The keys' features; the sums with values and ones written and read."""
        b, heads, s, d = (size(x, env) for x in inputs[1].shape)
        n = 2 * b * heads * s * attrs["features"] * (d + 2 * (int(inputs[2].shape[3]) + 1))
        return Flops(n, n)

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        b, heads, _, width = inputs[2].shape
        kept, floor = int(width) + 1, attrs["at_least"]  # values, and a one that counts
        return (
            StateTensor("s", (b, heads, attrs["features"], kept), "constant", floor),
            StateTensor("plain", (b, heads, kept), "constant", floor),
            StateTensor("top", (b, heads), "constant", floor),
            StateTensor("seen", (b, heads), "constant", floor),
        )


OP = RunningFeatureAttention()
