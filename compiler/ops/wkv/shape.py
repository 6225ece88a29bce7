"""RWKV-4's weighted key-value sum (arXiv 2305.13048, equation 14): k, v (B, S, d) -> (B, S, d).

wkv_t = (sum_{i<t} e^{-(t-1-i)w + k_i} v_i + e^{u + k_t} v_t) / (the same without v), w = exp(decay), u = first. Kept as
numerator, denominator and running maximum of the exponents, so that nothing overflows.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import Attrs, Op, StateTensor


class Wkv(Op):
    name = "wkv"
    kind = "recurrence"
    fields = {"at_least": "fp32"}
    n_inputs = (2, 2)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        width = (int(inputs[0].shape[-1]),)
        return {"decay": width, "first": width}

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        shape = (inputs[0].shape[0], inputs[0].shape[-1])
        return tuple(StateTensor(n, shape, "constant", attrs["at_least"]) for n in ("numerator", "denominator", "max"))


OP = Wkv()
