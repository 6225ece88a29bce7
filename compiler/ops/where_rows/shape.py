"""new where rows are marked, else old: old and new (B, S, d) or
(B, H, S, D), marked (B, S), or (B, T) of which the last S count."""

from compiler.ops.base import Op


class WhereRows(Op):
    name = "where_rows"
    n_inputs = (3, 3)


OP = WhereRows()
