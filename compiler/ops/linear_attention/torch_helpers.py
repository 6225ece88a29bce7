"""Text for generated files: linear attention (arXiv 2006.16236)."""

from torch import Tensor

from compiler.emit.torch.runtime.scan import scan_heads, wide


def attend_linearly(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    state: Tensor | None,
    scale: float,
    log_decay: Tensor | None = None,
    beta: Tensor | None = None,
) -> Tensor:
    """Each query reads the sum of decayed k vT up to its own token: q, k (B, H, S, K), v -> (B, H, S, V).

    log_decay (B|1, H, S|1, 1|K), at most 0. beta (B, H, S, 1): the delta rule.
    """
    if log_decay is not None:
        log_decay = log_decay.expand(-1, -1, k.shape[2], -1)
    beta = None if beta is None else wide(beta)
    return (scan_heads(q, k, v, state, log_decay, beta) * scale).to(v.dtype)


def attend_linearly_shares(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    state: Tensor | None,
    keys: Tensor | None,
    scale: float,
    eps: float,
    log_decay: Tensor | None = None,
    beta: Tensor | None = None,
    on_keys: bool = False,
) -> Tensor:
    """The same divided by q · (sum of the keys so far) + eps, or on_keys by q · (that sum + eps).

    keys (B, H, K): their sum before, brought up to date.
    """
    y = attend_linearly(wide(q), wide(k), wide(v), state, scale, log_decay, beta)
    total = wide(k).cumsum(2)
    if keys is not None:
        total = total + keys[:, :, None]
        keys.copy_(total[:, :, -1])
    return (y / read_sum(q, total, eps, on_keys)).to(v.dtype)


def attend_linearly_all(
    q: Tensor, k: Tensor, v: Tensor, scale: float, eps: float | None = None, on_keys: bool = False
) -> Tensor:
    """Every query reads the sum of k vT over all tokens; with eps divided by q · (sum of the keys) + eps."""
    y = scale * wide(q) @ (wide(k).mT @ wide(v))
    if eps is not None:
        y = y / read_sum(q, wide(k).sum(2, keepdim=True), eps, on_keys)
    return y.to(v.dtype)


def read_sum(q: Tensor, total: Tensor, eps: float, on_keys: bool) -> Tensor:
    """q · total + eps, or q · (total + eps): (B, H, S, 1)."""
    if on_keys:
        return (wide(q) * (total + eps)).sum(-1, keepdim=True)
    return (wide(q) * total).sum(-1, keepdim=True) + eps
