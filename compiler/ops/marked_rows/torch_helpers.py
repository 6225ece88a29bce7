"""Text for generated files: rows that see something."""

from collections.abc import Callable

import torch
from torch import Tensor

from compiler.emit.torch.runtime.state import State


def rows_that_see(seen: Tensor, real: Tensor | None) -> Tensor:
    """Rows (B, S) with a visible key: seen (B, 1, S, K), real (B, K) or None."""
    return (seen if real is None else seen & real[:, None, None, :]).any(-1)[:, 0]


def rows_at(rule: Callable[[Tensor], Tensor], x: Tensor, state: State | None = None) -> Tensor:
    """Rows (B, S) of x (B, S, ...) for which the rule of their slots i (S, 1) is true: it gives (S, 1) or (B, 1, S, 1).

    state: the rows stand behind those so far.
    """
    at = torch.arange(x.shape[1], device=x.device)
    marked = rule((at if state is None else at + state.length.to(x.device))[:, None])
    return marked.reshape(-1, x.shape[1]).expand(x.shape[:2])
