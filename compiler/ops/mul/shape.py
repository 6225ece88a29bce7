"""The elementwise product of two tensors (the right one may broadcast)."""

from compiler.ops.base import Op


class Mul(Op):
    name = "mul"
    kind = "elementwise"
    n_inputs = (2, 2)


OP = Mul()
