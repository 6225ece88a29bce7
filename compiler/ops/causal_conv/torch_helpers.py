"""Text for generated files: short convolutions over the tokens so far."""

import torch
import torch.nn.functional as F
from torch import Tensor


def causal_conv(x: Tensor, weight: Tensor, bias: Tensor | None, tail: Tensor | None) -> Tensor:
    """Each channel over its last K tokens: x (B, S, C), weight (C, K) -> (B, S, C).

    tail (B, K - 1, C): the inputs before the new tokens, brought up to date.
    """
    kernel = weight.shape[1]
    before = x.new_zeros(x.shape[0], kernel - 1, x.shape[2]) if tail is None else tail
    seen = torch.cat((before, x), 1)
    if tail is not None:
        tail.copy_(seen[:, x.shape[1] :])
    if x.shape[1] == 1:
        y = (seen * weight.T).sum(1, keepdim=True)
        return y if bias is None else y + bias
    return F.conv1d(seen.mT, weight[:, None], bias, groups=x.shape[2]).mT
