"""Text for generated files: padding set to zero."""

from torch import Tensor


def keep_real(x: Tensor, real: Tensor | None, fill: float = 0.0) -> Tensor:
    """x (B, S, d) or (B, H, S, D) with `fill` at padding; real (B, S), None where there is none."""
    if real is None:
        return x
    real = real[:, :, None] if x.dim() == 3 else real[:, None, :, None]
    return x * real if fill == 0 else x.masked_fill(~real, fill)
