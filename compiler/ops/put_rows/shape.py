"""x (B, S, ...) with its rows start to stop replaced by y; the counterpart of `slice_rows`."""

from compiler.ops.base import REQUIRED, Op


class PutRows(Op):
    name = "put_rows"
    saves = ()
    fields = {"start": REQUIRED, "stop": REQUIRED}
    n_inputs = (2, 2)


OP = PutRows()
