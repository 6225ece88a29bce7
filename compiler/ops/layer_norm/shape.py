"""(x - mean) / sqrt(var + eps) · gain + bias over the last axis (Ba et al. 2016, arXiv 1607.06450).

`groups`: mean and variance are taken over each of so many equal slices of the width, position by position (group norm,
Wu and He 2018, arXiv 1803.08494, as token models use it).
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class LayerNorm(Op):
    name = "layer_norm"
    kind = "norm"
    fields = {"eps": REQUIRED, "gain": "weight", "bias": True, "eps_at": "inside", "groups": 1, "at_least": "fp32"}

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        width: tuple[int, ...] = (int(inputs[0].shape[-1]),)
        weight = {} if attrs.get("gain") == "none" else {"weight": width}
        return weight | ({"bias": width} if attrs.get("bias", True) else {})


OP = LayerNorm()
