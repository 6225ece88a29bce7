"""Reference meaning of `position_decay`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context
from compiler.ops.position_decay.shape import zetas


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x, positions = inputs
    zeta = torch.tensor(zetas(attrs, x.shape[-1]), dtype=x.dtype)
    return (x * zeta ** (positions[:, None, :, None].to(x.dtype) * (attrs["sign"] / attrs["base"])),)
