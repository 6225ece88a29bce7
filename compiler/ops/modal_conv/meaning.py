"""Reference meaning of `modal_conv`: the recurrence, token by token."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x = inputs[0]
    each = x.shape[-1] // attrs["groups"]
    poles, residues = (
        torch.view_as_complex(params[role].contiguous()).repeat_interleave(each, 0) for role in ("poles", "residues")
    )  # (C, order)
    modes = torch.zeros(len(x), *poles.shape, dtype=poles.dtype)
    out = []
    for t in range(x.shape[1]):
        modes = poles * modes + x[:, t, :, None]
        out.append((residues * modes).sum(-1).real)
    return (torch.stack(out, 1) + params["skip"] * x,)
