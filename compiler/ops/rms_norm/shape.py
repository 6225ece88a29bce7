"""x / sqrt(mean(x²) + eps) · gain over the last axis (Zhang and Sennrich 2019, arXiv 1910.07467).

eps_at "outside": x / (sqrt(mean(x²)) + eps). gain "one_plus": (1 + weight). With bias: + bias.
`groups`: the mean is taken over each of so many equal slices of the width (Mamba-2's gated norm).
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class RmsNorm(Op):
    name = "rms_norm"
    kind = "norm"
    fields = {"eps": REQUIRED, "gain": "weight", "bias": False, "eps_at": "inside", "groups": 1, "at_least": "fp32"}

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        width: tuple[int, ...] = (int(inputs[0].shape[-1]),)
        weight = {} if attrs.get("gain") == "none" else {"weight": width}
        return weight | ({"bias": width} if attrs.get("bias") else {})


OP = RmsNorm()
