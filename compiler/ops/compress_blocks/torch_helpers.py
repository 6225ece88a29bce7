"""Text for generated files: blocks of keys and values made into one row each (arXiv 2502.11089, section 3.3.1).

B batch, S new tokens, G key/value heads, D head size, n blocks that the new tokens may complete, N blocks so far.
"""

import torch
from torch import Tensor

from compiler.emit.torch.runtime.attention import Span


def block_rows(span: Span, x: Tensor, tail: Tensor | None, positions: Tensor, stride: int) -> Tensor:
    """The rows of each block side by side, their learned places added: x (B, G, S, D) -> (B, G, n, block * D).

    tail (B, G, block - 1, D): the rows before the new ones, brought up to date. The last block may be unfinished: no
    query sees it yet.
    """
    new, block = x.shape[2], positions.shape[1]
    before = x.new_zeros(*x.shape[:2], block - 1, x.shape[3]) if tail is None else tail
    seen = torch.cat((before, x), 2)
    if tail is not None:
        tail.copy_(seen[:, :, new:])
    ends = (span.i[0] // stride + 1 + torch.arange(-(-new // stride), device=x.device)) * stride
    at = (ends - span.i[0] - 1)[:, None] + torch.arange(block, device=x.device)
    return (seen[:, :, at.clamp(max=seen.shape[2] - 1)] + positions[:, None]).flatten(3)


def keep_blocks(span: Span, rows: Tensor, cache: Tensor | None, stride: int) -> Tensor:
    """Put new rows (B, G, n, D) into their cache; gives those of all tokens looked at (B, G, N, D)."""
    if cache is None:
        return rows
    first = span.i[0] // stride
    cache.index_copy_(2, first + torch.arange(rows.shape[2], device=rows.device), rows)
    return cache[:, :, : -(-span.keys // stride)]
