"""Reference meaning of `selective_scan`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x, dt, b, c = inputs
    a = -torch.exp(params["a_log"])  # (I, N)
    h = x.new_zeros(x.shape[0], x.shape[2], attrs["d_state"])
    out = []
    for t in range(x.shape[1]):
        step = dt[:, t, :, None]  # (B, I, 1)
        h = torch.exp(step * a) * h + step * b[:, t, None, :] * x[:, t, :, None]
        out.append((h * c[:, t, None, :]).sum(-1))
    return (torch.stack(out, 1) + params["d"] * x,)
