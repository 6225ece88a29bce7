"""Text for generated files: padding set to zero."""

from torch import Tensor


def keep_real(x: Tensor, real: Tensor | None) -> Tensor:
    """x (B, S, d) or (B, H, S, D) with zeros at padding; real (B, S), None where there is none."""
    if real is None:
        return x
    return x * (real[:, :, None] if x.dim() == 3 else real[:, None, :, None])
