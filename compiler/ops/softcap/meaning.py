"""Reference meaning of `softcap`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    return (attrs["cap"] * torch.tanh(inputs[0] / attrs["cap"]),)
