"""Logarithm of a data-dependent decay: x (..., n) -> (..., n), at most 0.

"sigmoid": log sigmoid(x) / divide (GLA, arXiv 2312.06635). "exp_softplus": -exp(a)·softplus(x + bias), one a and bias
for each (Mamba-2's and gated DeltaNet's, arXiv 2412.06464).
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class LogDecay(Op):
    name = "log_decay"
    fields = {"function": REQUIRED, "divide": 1}

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        width = (int(inputs[0].shape[-1]),)
        return {"a": width, "bias": width} if attrs["function"] == "exp_softplus" else {}


OP = LogDecay()
