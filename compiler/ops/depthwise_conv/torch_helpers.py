"""Text for generated files: a centred depthwise convolution (arXiv 2005.08100)."""

import torch.nn.functional as F
from torch import Tensor


def depthwise_conv(x: Tensor, weight: Tensor) -> Tensor:
    """x (B, S, C), weight (C, kernel): each channel alone, zeros around the sequence."""
    kernel = weight.shape[1]
    padded = F.pad(x.transpose(1, 2), (kernel // 2, (kernel - 1) // 2))
    return F.conv1d(padded, weight[:, None], groups=len(weight)).transpose(1, 2)
