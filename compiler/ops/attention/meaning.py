"""Reference meaning of `attention`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from compiler.masks.dense import Attended, dense_mask
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def core(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None, before: list[Tensor], after: list[Tensor],
         scale: float, softcap: float | None, extra: Sequence[tuple[Tensor, ...]] = (),
         sink: Tensor | None = None) -> Tensor:  # fmt: skip
    """q (B, H, S, D), k and v (B, G, T, D): attention with `visible` (bool, broadcast to (B, H, S, T)).

    extra: (k, v, mask, bias) of keys beside these: mask (B, E) or (B|1, 1, S, E) or empty, bias before the scale. sink
    (H,): scores whose value is zero.
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
    for more, values, mask, *bias in extra:
        if not more.shape[2]:
            continue
        own = sum(bias, q @ more.repeat_interleave(groups, 1).transpose(-1, -2)) * scale
        own = softcap * torch.tanh(own / softcap) if softcap else own
        if mask.numel():
            own = own.masked_fill(~(mask if mask.dim() == 4 else mask[:, None, None, :]).bool(), float("-inf"))
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
    extra: list[tuple[Tensor, ...]] = [(more[i], more[i + 1], more[i + 2]) for i in range(0, len(more), 3)]
    for i, kind in enumerate(attrs.get("extra", [])):
        if kind in ("compressed", "zeros"):
            seen = extra[i][2]
            if kind == "compressed":
                seen = slots_in_view(attrs["compressed"], q.shape[2], *extra[i][1:])
            extra[i] = (*extra[i][:2], seen, *(b for b, where in zip(biases, at, strict=True) if where == "extra"))
    before = [b for b, where in zip(biases, at, strict=True) if where == "before_scale"]
    after = [b for b, where in zip(biases, at, strict=True) if where == "after_scale"]
    attended = Attended(q, k, key_mask if key_mask.numel() else None)
    visible = dense_mask(attrs["mask"], q.shape[2], k.shape[2], named, q.device, attended)
    if key_mask.numel():
        visible = visible & key_mask.bool()[:, None, None, :]
    if attrs.get("empty_rows") == "all":
        visible = visible | ~visible.any(-1, keepdim=True)
    return (core(q, k, v, visible, before, after, attrs["scale"], attrs.get("softcap"), extra, params.get("sink")),)


def slots_in_view(past: Attrs, new: int, values: Tensor, real: Tensor) -> Tensor:
    """Compressed slots that each query of a whole sequence sees: (B|1, 1, S, Z). real (B, Z): which hold a token."""
    i, slot = torch.arange(new)[:, None], torch.arange(values.shape[2])[None, :]
    ready = (i // past["segment"] * past["segment"] - past["after"]).clamp(min=0) // past["rate"]
    seen = ((slot < ready) & (slot >= ready - past["slots"]))[None, None]
    return seen & real.bool()[:, None, None, :] if real.numel() else seen
