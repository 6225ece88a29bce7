"""Reference meaning of `ssd`: the plain recurrence."""

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    heads, groups = attrs["n_heads"], attrs["n_groups"]
    x = inputs[0].unflatten(-1, (heads, -1))  # (B, S, H, P)
    dt = F.softplus(inputs[1] + params["dt_bias"])
    if attrs.get("dt_limit"):
        dt = dt.clamp(*attrs["dt_limit"])
    b, c = (v.unflatten(-1, (groups, -1)).repeat_interleave(heads // groups, 2) for v in inputs[2:])  # (B, S, H, N)
    decay = torch.exp(dt * -torch.exp(params["a_log"]))  # (B, S, H)
    h = x.new_zeros(x.shape[0], heads, x.shape[3], b.shape[3])
    out = []
    for t in range(x.shape[1]):
        h = decay[:, t, :, None, None] * h + (dt[:, t, :, None] * x[:, t])[..., None] * b[:, t, :, None, :]
        out.append((h * c[:, t, :, None, :]).sum(-1))
    y = torch.stack(out, 1) + params["d"][:, None] * x
    return (y.flatten(2),)
