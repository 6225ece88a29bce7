"""Text for generated files: rows in groups (arXiv 2006.03236, section 2.3)."""

import torch
from torch import Tensor


def groups_of(x: Tensor, stride: int, keep_first: bool) -> Tensor:
    """x (B, S, ...) for groups of `stride` rows; keep_first: the first row fills a group, the end is dropped."""
    if not keep_first:
        return x
    first = x[:, :1].expand(-1, stride - 1, *x.shape[2:])
    return torch.cat((first, x), 1)[:, : x.shape[1]]


def mean_of_groups(x: Tensor, stride: int) -> Tensor:
    """The mean of every `stride` rows, the last of those that are left: (B, S, d) -> (B, ceil(S / stride), d)."""
    whole = x.shape[1] // stride * stride
    means = x[:, :whole].unflatten(1, (-1, stride)).mean(2)
    return means if whole == x.shape[1] else torch.cat((means, x[:, whole:].mean(1, keepdim=True)), 1)


def all_of_groups(real: Tensor, stride: int) -> Tensor:
    """Whether all rows of each group are real: (B, S) -> (B, ceil(S / stride))."""
    whole = real.shape[1] // stride * stride
    every = real[:, :whole].unflatten(1, (-1, stride)).all(2)
    return every if whole == real.shape[1] else torch.cat((every, real[:, whole:].all(1, keepdim=True)), 1)
