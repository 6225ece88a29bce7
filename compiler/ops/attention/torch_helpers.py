"""Text for generated files: keys besides those of the sequence."""

import torch
from torch import Tensor


def with_extra_keys(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    causal: bool,
    extra: list[tuple[Tensor, Tensor, Tensor | None]],
) -> tuple[Tensor, Tensor, Tensor]:
    """Keys, values and mask with extra ones in front, seen by every query.

    q (B, H, S, D), k and v (B, G, K, D), mask added to the scores; extra: (k (B, G, E, D), v, real (B, E) or None).
    """
    if mask is None:
        mask = q.new_zeros(1, 1, q.shape[2], k.shape[2])
        if causal:
            mask = mask.masked_fill(
                torch.ones(mask.shape[2:], dtype=torch.bool, device=q.device).triu(1), float("-inf")
            )
    for more, values, real in extra:
        hidden = q.new_zeros(1, 1, 1, more.shape[2])
        if real is not None:
            hidden = hidden.masked_fill(~real.bool()[:, None, None, :], float("-inf"))
        heads, batch = max(mask.shape[1], hidden.shape[1]), max(mask.shape[0], hidden.shape[0])
        parts = (hidden.expand(batch, heads, mask.shape[2], -1), mask.expand(batch, heads, -1, -1))
        k, v, mask = torch.cat((more, k), 2), torch.cat((values, v), 2), torch.cat(parts, -1)
    return k, v, mask


def with_sink(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, sink: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The same with one key whose score is sink (H,) and whose value is zero: it takes part in the softmax alone."""
    none: tuple[Tensor, Tensor, Tensor | None] = (
        k.new_zeros(*k.shape[:2], 1, k.shape[3]),
        v.new_zeros(*v.shape[:2], 1, v.shape[3]),
        None,
    )
    k, v, mask = with_extra_keys(q, k, v, mask, causal, [none])
    mask = mask.expand(-1, len(sink), -1, -1)
    return k, v, torch.cat((mask[..., :1] + sink.to(mask.dtype)[:, None, None], mask[..., 1:]), -1)


def given_mask(seen: Tensor, real: Tensor | None, x: Tensor, empty_rows_see_all: bool = False) -> Tensor:
    """What hides keys of another stack, added to the scores: seen (B, 1, S, K), real (B, K) or None."""
    if real is not None:
        seen = seen & real[:, None, None, :]
    if empty_rows_see_all:
        seen = seen | ~seen.any(-1, keepdim=True)
    return torch.zeros((), dtype=x.dtype, device=x.device).where(seen, float("-inf"))
