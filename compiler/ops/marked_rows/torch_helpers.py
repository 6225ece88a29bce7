"""Text for generated files: rows that see something."""

from torch import Tensor


def rows_that_see(seen: Tensor, real: Tensor | None) -> Tensor:
    """Rows (B, S) with a visible key: seen (B, 1, S, K), real (B, K) or None."""
    return (seen if real is None else seen & real[:, None, None, :]).any(-1)[:, 0]
