"""Reference meaning of `rope`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context
from compiler.ops.rope.frequencies import frequencies


def angles(positions: Tensor, attrs: Attrs, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """cos and sin (B, 1, S, dims/2), gain included."""
    inverse, gain = frequencies(attrs, positions.shape[1])
    angle = positions[:, None, :, None].to(dtype) * torch.tensor(inverse, dtype=dtype, device=positions.device)
    return angle.cos() * gain, angle.sin() * gain


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x, positions = inputs
    start, dims = attrs.get("offset", 0), attrs["dims"]
    before, slice_, after = x[..., :start], x[..., start : start + dims], x[..., start + dims :]
    cos, sin = angles(positions, attrs, x.dtype)
    if attrs.get("pairing", "half") == "half":
        left, right = slice_.chunk(2, -1)
        turned = torch.cat([left * cos - right * sin, right * cos + left * sin], -1)
    else:
        left, right = slice_[..., ::2], slice_[..., 1::2]
        turned = torch.stack([left * cos - right * sin, right * cos + left * sin], -1).flatten(-2)
    return (torch.cat([before, turned, after], -1),)
