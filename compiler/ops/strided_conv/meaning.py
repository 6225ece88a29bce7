"""Reference meaning of `strided_conv`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x = inputs[0] if inputs[0].dim() == 3 else inputs[0][..., None]
    taps = x.to(ctx.dtype).unfold(1, attrs["kernel"], attrs["stride"])  # (B, rows, C, kernel)
    y = torch.einsum("brck,ock->bro", taps, params["weight"])
    return (y + params["bias"] if attrs.get("bias") else y,)
