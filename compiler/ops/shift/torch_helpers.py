"""Text for generated files: the token before each."""

import torch
from torch import Tensor


def previous_tokens(x: Tensor, last: Tensor | None) -> Tensor:
    """Each token's predecessor, zeros before the first: x (B, S, d) -> (B, S, d).

    last (B, 1, d): the token before the new ones, brought up to date.
    """
    before = torch.zeros_like(x[:, :1]) if last is None else last.clone()
    if last is not None:
        last.copy_(x[:, -1:])
    return torch.cat((before, x[:, :-1]), 1)
