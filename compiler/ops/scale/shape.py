"""x · by + plus, both constants."""

from compiler.ops.base import REQUIRED, Op


class Scale(Op):
    name = "scale"
    kind = "elementwise"
    saves = ()
    fields = {"by": REQUIRED, "plus": 0}


OP = Scale()
