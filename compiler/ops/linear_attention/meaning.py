"""Reference meaning of `linear_attention`: the plain recurrence."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    q, k, v, *rest = inputs
    gate = rest.pop(0) if attrs.get("gated") else None
    beta = rest.pop(0) if attrs.get("rule") == "delta" else None
    rates = attrs.get("rates")
    fixed = torch.tensor(rates, dtype=q.dtype)[:, None, None] if rates is not None else None
    y = core(
        q, k, v, attrs["scale"], fixed, gate, beta, attrs.get("key_sum"), attrs.get("mask") == "full",
        attrs.get("eps_at") == "keys",
    )  # fmt: skip
    return (y,)


def core(q: Tensor, k: Tensor, v: Tensor, scale: float, fixed: Tensor | None, gate: Tensor | None, beta: Tensor | None,
         key_sum: float | None, full: bool, on_keys: bool = False) -> Tensor:  # fmt: skip
    """q, k (B, H, S, Dk), v (B, H, S, Dv) -> (B, H, S, Dv); `fixed` (H, 1, 1), `gate` log decays, `beta` strengths."""
    if full:
        y = scale * q @ (k.transpose(-1, -2) @ v)
        return y if key_sum is None else y / _shares(q, k.sum(2, keepdim=True), key_sum, on_keys)
    state = q.new_zeros(*q.shape[:2], q.shape[3], v.shape[3])
    keys = q.new_zeros(*q.shape[:2], q.shape[3])
    out = []
    for t in range(q.shape[2]):
        q_t, k_t, v_t = q[:, :, t], k[:, :, t], v[:, :, t]
        if fixed is not None:
            state = state * fixed
        if gate is not None:
            state = state * torch.exp(gate[:, :, t])[..., None]
        if beta is not None:
            v_t = beta[:, :, t] * (v_t - (k_t[..., None] * state).sum(-2))
        state = state + k_t[..., None] * v_t[..., None, :]
        y = scale * (q_t[..., None] * state).sum(-2)
        if key_sum is not None:
            keys = keys + k_t
            y = y / _shares(q_t, keys, key_sum, on_keys)
        out.append(y)
    return torch.stack(out, 2)


def _shares(q: Tensor, keys: Tensor, eps: float, on_keys: bool) -> Tensor:
    """q·keys + eps, or q·(keys + eps)."""
    return (q * (keys + eps)).sum(-1, keepdim=True) if on_keys else (q * keys).sum(-1, keepdim=True) + eps
