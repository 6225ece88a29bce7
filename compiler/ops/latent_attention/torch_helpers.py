"""Text for generated files: attention over latents (DeepSeek-V2, arXiv 2405.04434, section 2.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.emit.torch.runtime.attention import Span, attend


def keep_latents(
    span: Span, past_c: Tensor | None, past_k: Tensor | None, c: Tensor, k_rope: Tensor
) -> tuple[Tensor, Tensor]:
    """Put new latents c (B, S, R) and rotary keys (B, 1, S, D) into their caches; gives all that is visible."""
    latents = span.keep(None if past_c is None else past_c[:, None], c[:, None])
    return latents[:, 0], span.keep(past_k, k_rope)


def keys_of_latents(c: Tensor, k_rope: Tensor, kv_up: Tensor, heads: int, nope: int) -> Tensor:
    """c (B, K, R), k_rope (B, 1, K, D) -> keys (B, H, K, nope + D), by which queries choose blocks."""
    up = kv_up.unflatten(0, (heads, -1))[:, :nope]  # (H, nope, R)
    return torch.cat((c[:, None] @ up.mT, k_rope.expand(-1, heads, -1, -1)), -1)


def attend_latents(
    q: Tensor, c: Tensor, k_rope: Tensor, kv_up: Tensor, nope: int, mask: Tensor | None, causal: bool, scale: float
) -> Tensor:
    """q (B, H, S, nope + D), c (B, K, R), k_rope (B, 1, K, D), kv_up (H * (nope + V), R) -> (B, H, S, V)."""
    heads = q.shape[1]
    if q.shape[2] > 1:
        kv = F.linear(c, kv_up).unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, H, K, nope + V)
        k = torch.cat((kv[..., :nope], k_rope.expand(-1, heads, -1, -1)), -1)
        return attend(q, k, kv[..., nope:], mask, causal, scale)
    # One token: kv_up is taken into its query and output, so that the latents stay as they are.
    up = kv_up.unflatten(0, (heads, -1))  # (H, nope + V, R)
    latent = (q[..., :nope] @ up[:, :nope])[:, :, 0]  # (B, H, R)
    scores = (latent @ c.mT + q[:, :, 0, nope:] @ k_rope[:, 0].mT) * scale  # (B, H, K)
    if mask is not None:
        scores = scores + mask[:, :, 0]
    shares = torch.softmax(scores, -1, dtype=torch.promote_types(q.dtype, torch.float32)).nan_to_num(0.0)
    return (shares.to(c.dtype) @ c)[:, :, None] @ up[:, nope:].mT
