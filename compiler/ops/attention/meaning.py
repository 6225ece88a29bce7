"""Reference meaning of `attention`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from compiler.masks.dense import Attended, dense_mask
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def core(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None, before: list[Tensor], after: list[Tensor],
         scale: float, softcap: float | None, extra: Sequence[tuple[Tensor, Tensor, Tensor]] = (),
         sink: Tensor | None = None) -> Tensor:  # fmt: skip
    """q (B, H, S, D), k and v (B, G, T, D): attention with `visible` (bool, broadcast to (B, H, S, T)).

    extra: (k, v, mask or empty) that every query sees too. sink (H,): scores whose value is zero.
    """
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scores = q @ k.transpose(-1, -2)  # (B, H, S, T)
    scores = sum(before, scores) * scale
    scores = sum(after, scores)
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    if visible is not None:
        scores = scores.masked_fill(~visible, float("-inf"))
    for more, values, mask in extra:
        own = q @ more.repeat_interleave(groups, 1).transpose(-1, -2) * scale
        own = softcap * torch.tanh(own / softcap) if softcap else own
        if mask.numel():
            own = own.masked_fill(~mask.bool()[:, None, None, :], float("-inf"))
        scores, v = torch.cat([scores, own], -1), torch.cat([v, values.repeat_interleave(groups, 1)], 2)
    if sink is not None:
        scores = torch.cat([scores, sink[:, None, None].expand(*scores.shape[:3], 1)], -1)
        v = torch.cat([v, torch.zeros_like(v[:, :, :1])], 2)
    return torch.softmax(scores, -1).nan_to_num(0.0) @ v


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    q, k, v, key_mask, *rest = inputs
    names = attrs.get("mask_inputs", [])
    at = attrs.get("bias_at", [])
    named, biases, more = (
        dict(zip(names, rest, strict=False)),
        rest[len(names) :][: len(at)],
        rest[len(names) + len(at) :],
    )
    extra = [(more[i], more[i + 1], more[i + 2]) for i in range(0, len(more), 3)]
    before = [b for b, where in zip(biases, at, strict=True) if where == "before_scale"]
    after = [b for b, where in zip(biases, at, strict=True) if where == "after_scale"]
    attended = Attended(q, k, key_mask if key_mask.numel() else None)
    visible = dense_mask(attrs["mask"], q.shape[2], k.shape[2], named, q.device, attended)
    if key_mask.numel():
        visible = visible & key_mask.bool()[:, None, None, :]
    if attrs.get("empty_rows") == "all":
        visible = visible | ~visible.any(-1, keepdim=True)
    return (core(q, k, v, visible, before, after, attrs["scale"], attrs.get("softcap"), extra, params.get("sink")),)
