"""cap · tanh(x / cap)."""

from compiler.ops.base import REQUIRED, Op


class Softcap(Op):
    name = "softcap"
    kind = "elementwise"
    fields = {"cap": REQUIRED}


OP = Softcap()
