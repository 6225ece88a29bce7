"""Text for generated files: Mamba's scan (arXiv 2312.00752, algorithm 2)."""

import torch
from torch import Tensor

from compiler.emit.torch.runtime.scan import wide


def selective_scan(
    x: Tensor, dt: Tensor, b: Tensor, c: Tensor, a_log: Tensor, d: Tensor, state: Tensor | None
) -> Tensor:
    """h = exp(dt A) h + dt b x, y = c h + d x with A = -exp(a_log): x, dt (B, S, I), b, c (B, S, N) -> (B, S, I).

    state (B, I, N): h before the new tokens, set to h after them.
    """
    x, dt, b, c, kind = wide(x), wide(dt), wide(b), wide(c), x.dtype
    a = -torch.exp(wide(a_log))  # (I, N)
    h = x.new_zeros(len(x), *a.shape) if state is None else state.to(x.dtype)
    if x.shape[1] == 1:
        h = torch.exp(dt[:, 0, :, None] * a) * h + (dt * x)[:, 0, :, None] * b
        y = (h @ c.mT).mT  # (B, 1, I)
    else:
        y, h = scan_tokens(x * dt, dt, b, c, a, h)
    if state is not None:
        state.copy_(h)
    return (y + wide(d) * x).to(kind)


@torch.compiler.disable  # a loop over tokens: compiled, it would be unrolled anew for every length
def scan_tokens(
    x: Tensor, dt: Tensor, b: Tensor, c: Tensor, a: Tensor, h: Tensor, size: int = 64
) -> tuple[Tensor, Tensor]:
    """Decays, writes and reads for `size` tokens at once; between them one multiply-add a token. x is times dt."""
    out = []
    for start in range(0, x.shape[1], size):
        at = slice(start, start + size)
        decay = torch.exp(dt[:, at, :, None] * a).unbind(1)  # (B, I, N) each
        write = (x[:, at, :, None] * b[:, at, None]).unbind(1)
        states = []
        for i in range(len(write)):
            h = torch.addcmul(write[i], decay[i], h)
            states.append(h)
        out.append((torch.stack(states, 1) @ c[:, at, :, None])[..., 0])
    return torch.cat(out, 1), h
