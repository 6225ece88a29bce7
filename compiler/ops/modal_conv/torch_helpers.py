"""Text for generated files: a long convolution by modes (arXiv 2310.18780)."""

import torch
from torch import Tensor


def modal_conv(x: Tensor, poles: Tensor, residues: Tensor, skip: Tensor, modes: Tensor | None) -> Tensor:
    """h * x + skip · x with h_t = Re(sum of residue · pole^t).

    x (B, S, C), poles and residues (G, order, 2) as real and imaginary parts, skip (C,).
    modes (B, C, order, 2): what earlier tokens left, changed in place.
    """
    wide, new, each = torch.promote_types(x.dtype, torch.float32), x.shape[1], x.shape[-1] // len(poles)
    pole, residue = (
        torch.complex(*part.to(wide).unbind(-1)).repeat_interleave(each, 0) for part in (poles, residues)
    )  # (C, order)
    given = x.to(wide).transpose(1, 2)  # (B, C, S)
    powers = pole[..., None] ** torch.arange(new + 1, device=x.device)  # (C, order, S + 1)
    taps = (residue[..., None] * powers[..., :new]).sum(1).real  # (C, S)
    size = 2 * new
    y = torch.fft.irfft(torch.fft.rfft(given, size) * torch.fft.rfft(taps, size), size)[..., :new]
    if modes is not None:
        before = torch.view_as_complex(modes.to(wide).contiguous())  # (B, C, order)
        y = y + ((residue * before)[..., None] * powers[..., 1:]).sum(2).real
        left = (given[:, :, None] * powers[..., :new].flip(-1)).sum(-1) + before * powers[..., -1]
        modes.copy_(torch.view_as_real(left))
    return (y.transpose(1, 2) + skip.to(wide) * x.to(wide)).to(x.dtype)
