"""x cut to [low, high]; None leaves a side open."""

from compiler.ops.base import Op


class Clamp(Op):
    name = "clamp"
    kind = "elementwise"
    fields = {"low": None, "high": None}


OP = Clamp()
