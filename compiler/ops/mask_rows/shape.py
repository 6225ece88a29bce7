"""Padded rows set to zero, so that no scan or convolution carries them on.

x (B, S, W) or (B, H, S, D), mask (B, T)."""

from compiler.ops.base import Op


class MaskRows(Op):
    name = "mask_rows"
    n_inputs = (2, 2)


OP = MaskRows()
