"""y = x Wᵀ (+ bias) (then an activation): weight (out, in)."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op


class Linear(Op):
    name = "linear"
    kind = "matrix product"
    fields = {"width": REQUIRED, "bias": False, "activation": None}

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].dtype, (*inputs[0].shape[:-1], attrs["width"])),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        weight = {"weight": (attrs["width"], int(inputs[0].shape[-1]))}
        return weight | ({"bias": (attrs["width"],)} if attrs.get("bias") else {})

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        n = 2 * inputs[0].elements(env) * int(attrs["width"])
        return Flops(n, n)


OP = Linear()
