"""Reference meaning of `compress_blocks`."""

import torch.nn.functional as F
from torch import Tensor

from compiler.ops.activation.meaning import activate
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    (x, mask), block, stride = inputs, attrs["block"], attrs["stride"]
    if mask.numel():
        x = x * mask.to(x.dtype)[:, None, :, None]
    count = x.shape[2] // stride
    if count == 0:
        return (x[:, :, :0],)
    padded = F.pad(x[:, :, : count * stride], (0, 0, block - stride, 0))
    rows = padded.unfold(2, block, stride).transpose(3, 4)  # (B, G, blocks, block, D)
    joined = (rows + params["positions"][:, None]).flatten(3)
    hidden = joined @ params["up"].T + params["up_bias"]
    hidden = activate(hidden, attrs["function"]) if attrs.get("function") else hidden
    return (hidden @ params["down"].T + params["down_bias"],)


def real_blocks(real: Tensor, block: int, stride: int) -> Tensor:
    """Which blocks hold a token that is no padding: real (B, T) -> (B, T // stride)."""
    count = real.shape[1] // stride
    if count == 0:
        return real[:, :0]
    padded = F.pad(real[:, : count * stride], (block - stride, 0), value=False)
    return padded.unfold(1, block, stride).any(-1)
