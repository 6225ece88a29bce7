"""Every `rate` rows become one: h (B, S, d), key mask (B, T) or absent -> slots (B, ceil(S / rate), d), which of them
hold a token (B, ceil(S / rate)) (Compressive Transformer, arXiv 1911.05507, section 3.2).

Slot g is made of the rows g·rate to (g + 1)·rate - 1, padding as zeros: by a convolution (map "conv": weight (d, d,
rate), bias (d)), their mean or their maximum. The last slot may be unfinished: nothing may look at it.
"""

from collections.abc import Sequence

from compiler.ir.types import Dim, TensorType, size
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op, StateTensor


class CompressRows(Op):
    name = "compress_rows"
    fields = {"rate": REQUIRED, "map": REQUIRED}
    n_inputs = (2, 2)

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        b, rows, d = inputs[0].shape
        slots = slots_of(rows, attrs["rate"])
        return TensorType("float", (b, slots, d)), TensorType("int", (b, slots))

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        d = int(inputs[0].shape[2])
        return {"weight": (d, d, attrs["rate"]), "bias": (d,)} if attrs["map"] == "conv" else {}

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        b, rows, d = (size(x, env) for x in inputs[0].shape)
        n = 2 * b * -(-rows // attrs["rate"]) * d * d * attrs["rate"] if attrs["map"] == "conv" else 0
        return Flops(n, n)

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        """The rows of a slot that is not finished."""
        b, rows, d = inputs[0].shape
        return (StateTensor("rows", (b, attrs["rate"] - 1, d), "constant"),) if rows == "S" else ()


def slots_of(rows: Dim, rate: int) -> Dim:
    """How many slots so many rows begin."""
    return -(-rows // rate) if isinstance(rows, int) else f"floor(({rows}+{rate - 1})/{rate})"


OP = CompressRows()
