"""Feed-forward experts, each token through its chosen ones.

x (B, S, d), weights (B, S, K), indices (B, S, K) -> (B, S, d). Parameters hold all experts: gate and up (E, F, d), down
(E, d, F), biases (E, F) and (E, d). `inner_norm`: {"norm": "rms_norm" | "layer_norm" | "batch_norm" |
"learned_gate", the fields of that operator, "by": a factor after it} before down, its parameters (E, F) each, or None.
`weigh` "output" multiplies an expert's output by its weight, "input" its input; with `dropped` a choice of weight 0
gives nothing then.

Indices from E on, `identities` of them, give the token itself times its weight (LongCat-Flash, arXiv 2509.01322). What
one token uses is counted as if all experts and identities were chosen equally often.
"""

from collections.abc import Sequence

from compiler import ops
from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op


class Experts(Op):
    name = "experts"
    kind = "matrix product"
    fields = {"n_experts": REQUIRED, "top_k": REQUIRED, "d_ff": REQUIRED, "gated": REQUIRED, "function": None,
              "bias": [], "up_offset": 0, "clamp": None, "weigh": "output",
              "inner_norm": None, "identities": 0, "dropped": False}  # fmt: skip
    n_inputs = (3, 3)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        e, f, d = attrs["n_experts"], attrs["d_ff"], int(inputs[0].shape[-1])
        shapes: dict[str, tuple[int, ...]] = {"gate": (e, f, d)} if attrs["gated"] else {}
        shapes |= {"up": (e, f, d), "down": (e, d, f)}
        if (norm := attrs.get("inner_norm")) is not None:
            own = ops.get(norm["norm"]).params([TensorType("float", (f,))], norm)
            shapes |= {f"inner_norm.{role}": (e, f) for role in own}
        return shapes | {f"{role}_bias": (e, d if role == "down" else f) for role in attrs.get("bias", [])}

    def active_share(self, attrs: Attrs) -> float:
        return float(attrs["top_k"] / (attrs["n_experts"] + attrs.get("identities", 0)))

    def inside(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        """Each token's rows in its experts: gate and up, and the output before it is added up."""
        wide = attrs["d_ff"] * (2 if attrs["gated"] else 1)
        rows = inputs[0].elements(env) // int(inputs[0].shape[-1]) * attrs["top_k"]
        return int(rows * (wide + int(inputs[0].shape[-1])))

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        matrices = 3 if attrs["gated"] else 2
        n = 2 * inputs[0].elements(env) * attrs["d_ff"] * matrices * attrs["top_k"]
        n = n * attrs["n_experts"] // (attrs["n_experts"] + attrs.get("identities", 0))
        return Flops(n, n)


OP = Experts()
