"""Reference meaning of `attention`."""

import torch
from torch import Tensor

from compiler.masks.dense import dense_mask
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def core(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None, before: list[Tensor], after: list[Tensor],
         scale: float, softcap: float | None) -> Tensor:  # fmt: skip
    """q (B, H, S, D), k and v (B, G, T, D): attention with `visible` (bool, broadcast to (B, H, S, T))."""
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scores = q @ k.transpose(-1, -2)  # (B, H, S, T)
    scores = sum(before, scores) * scale
    scores = sum(after, scores)
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    if visible is not None:
        scores = scores.masked_fill(~visible, float("-inf"))
    return torch.softmax(scores, -1).nan_to_num(0.0) @ v


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    q, k, v, key_mask, *rest = inputs
    names = attrs.get("mask_inputs", [])
    named, biases = dict(zip(names, rest, strict=False)), rest[len(names) :]
    at = attrs.get("bias_at", [])
    before = [b for b, where in zip(biases, at, strict=True) if where == "before_scale"]
    after = [b for b, where in zip(biases, at, strict=True) if where == "after_scale"]
    visible = dense_mask(attrs["mask"], q.shape[2], k.shape[2], named, q.device)
    if key_mask.numel():
        visible = visible & key_mask.bool()[:, None, None, :]
    if attrs.get("empty_rows") == "all":
        visible = visible | ~visible.any(-1, keepdim=True)
    return (core(q, k, v, visible, before, after, attrs["scale"], attrs.get("softcap")),)
