"""Reference meaning of `running_feature_attention`: the features of all keys so far, anew at each token."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    q, k, v, mask = inputs
    k = k * k.shape[-1] ** -0.25
    exponents, squares = k @ params["projection"].T, (k**2).sum(-1, keepdim=True) / 2  # (B, H, S, F), (B, H, S, 1)
    real = (mask if mask.numel() else torch.ones(len(k), k.shape[2], device=k.device)).bool()[:, None, :, None]
    out = []
    for t in range(k.shape[2]):
        seen = slice(0, t + 1)
        top = exponents[:, :, seen].masked_fill(~real[:, :, seen], float("-inf")).amax((-1, -2), keepdim=True)
        raised = torch.exp(exponents[:, :, seen] - squares[:, :, seen] - top)
        features = attrs["features"] ** -0.5 * (raised + attrs["eps"])
        features = features.masked_fill(~real[:, :, seen], 0)
        y = attrs["scale"] * q[:, :, t : t + 1] @ (features.mT @ v[:, :, seen])
        if (eps := attrs.get("key_sum")) is not None:
            keys = features.sum(2, keepdim=True)
            on_keys = attrs.get("eps_at") == "keys"
            total = q[:, :, t : t + 1] * (keys + eps) if on_keys else q[:, :, t : t + 1] * keys
            y = y / (total.sum(-1, keepdim=True) + (0 if on_keys else eps))
        out.append(y)
    return (torch.cat(out, 2),)
