"""Padded rows set to `fill`, so that no scan or convolution carries them on: zero, or a logarithm of next to nothing.

x (B, S, W) or (B, H, S, D), mask (B, T)."""

from compiler.ops.base import Op


class MaskRows(Op):
    name = "mask_rows"
    fields = {"fill": 0}
    n_inputs = (2, 2)


OP = MaskRows()
