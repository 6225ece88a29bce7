"""Attention with a state instead of a cache: S ← decay∘S + k vᵀ, o = scale·q S (arXiv 2006.16236; RetNet 2307.08621).

Inputs q, k (B, H, S, Dk), v (B, H, S, Dv), then log decays (B, H, S, 1 or Dk) if `gated`, then write strengths
(B, H, S, 1) if rule is "delta" (S ← decay∘S + k·beta·(v - k S)ᵀ, arXiv 2102.11174). `rates`: one fixed decay for each
head. `key_sum` divides by q·Σk + eps, with `eps_at` "keys" by q·(Σk + eps). mask "full": every query reads the
sum over all keys.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType, size
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op, StateTensor


class LinearAttention(Op):
    name = "linear_attention"
    kind = "recurrence"
    fields = {"scale": REQUIRED, "rates": None, "gated": False, "rule": "add", "key_sum": None,
              "eps_at": "product", "mask": "causal", "at_least": "fp32"}  # fmt: skip
    n_inputs = (3, 5)

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (inputs[2],)

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        b, heads, s, d = (size(x, env) for x in inputs[0].shape)
        products = 3 if attrs.get("rule") == "delta" else 2  # write, read (and the old prediction)
        n = 2 * products * b * heads * s * d * int(inputs[2].shape[-1])
        return Flops(n, n)

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        b, heads, _, d = inputs[0].shape
        kept = (StateTensor("s", (b, heads, d, inputs[2].shape[-1]), "constant", attrs["at_least"]),)
        if attrs.get("key_sum") is None:
            return kept
        return (*kept, StateTensor("key_sum", (b, heads, d), "constant", attrs["at_least"]))

    def lookahead(self, attrs: Attrs) -> str | None:
        return "every query reads all keys" if attrs.get("mask") == "full" else None


OP = LinearAttention()
