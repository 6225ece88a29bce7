"""Tensors joined along one axis (counted from the end: -1 is the width, -2 the sequence)."""

from collections.abc import Sequence

from compiler.ir.types import Dim, TensorType
from compiler.ops.base import Attrs, Op


class Concat(Op):
    name = "concat"
    saves = ()
    fields = {"axis": -1}
    n_inputs = (1, None)

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        axis = attrs.get("axis", -1)
        shape = list(inputs[0].shape)
        shape[axis] = total([x.shape[axis] for x in inputs])
        return (TensorType(inputs[0].dtype, tuple(shape)),)

    def lookahead(self, attrs: Attrs) -> str | None:
        return "rows of several inputs are joined" if attrs.get("axis", -1) == -2 else None


def total(dims: list[Dim]) -> Dim:
    """The sum of dimensions; symbols stay symbols."""
    numbers = sum(d for d in dims if isinstance(d, int))
    symbols = [d for d in dims if isinstance(d, str)]
    return "+".join([*symbols, *([str(numbers)] if numbers else [])]) if symbols else numbers


OP = Concat()
