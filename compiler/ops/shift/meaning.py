"""Reference meaning of `shift`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x = inputs[0]
    return (torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1),)
