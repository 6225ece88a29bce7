"""left·a + right·b: the residual addition of a branch."""

from compiler.ops.base import Op


class Add(Op):
    name = "add"
    kind = "elementwise"
    saves = ()
    fields = {"left": 1, "right": 1}
    n_inputs = (2, 2)


OP = Add()
