"""Reference meaning of `latent_attention`."""

import torch
from torch import Tensor

from compiler.masks.dense import Attended, dense_mask
from compiler.ops.attention.meaning import core
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    q, c, k_rope, key_mask, *given = inputs
    named = dict(zip(attrs.get("mask_inputs", []), given, strict=True))
    heads, nope = q.shape[1], attrs["d_nope"]
    kv = (c @ params["kv_up"].T).unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, H, T, nope + value)
    k = torch.cat([kv[..., :nope], k_rope.expand(-1, heads, -1, -1)], -1)
    attended = Attended(q, k, key_mask)
    visible = dense_mask(attrs["mask"], q.shape[2], c.shape[1], named, q.device, attended)
    visible = visible & key_mask.bool()[:, None, None, :]
    return (core(q, k, kv[..., nope:], visible, [], [], attrs["scale"], None),)
