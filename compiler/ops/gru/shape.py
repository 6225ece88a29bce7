"""A gated recurrent unit joins a residual r and a branch y, both (B, S, d): (1 - z)·n + z·r (GTrXL, arXiv 1910.06764).

[r̂ | z | n] from y and r: gates sigmoid(W y + b + U r + c), n = tanh(W y + b + r̂·(U r + c)). Weights and biases are laid
out as in torch's GRUCell: input_weight and hidden_weight (3d, d), input_bias and hidden_bias (3d,).
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import Attrs, Env, Flops, Op


class Gru(Op):
    name = "gru"
    n_inputs = (2, 2)  # residual, branch

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        d = int(inputs[0].shape[-1])
        weights: dict[str, tuple[int, ...]] = {"input_weight": (3 * d, d), "hidden_weight": (3 * d, d)}
        return weights | {"input_bias": (3 * d,), "hidden_bias": (3 * d,)}

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        n = 2 * 6 * inputs[0].elements(env) * int(inputs[0].shape[-1])
        return Flops(n, n)

    def inside(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        """Both projections before they are joined."""
        return 6 * inputs[0].elements(env)


OP = Gru()
