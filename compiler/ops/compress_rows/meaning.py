"""Reference meaning of `compress_rows`."""

import torch.nn.functional as F
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    h, mask = inputs
    real = mask.bool() if mask.numel() else h.new_ones(h.shape[:2]).bool()
    rate, missing = attrs["rate"], -h.shape[1] % attrs["rate"]
    h = F.pad(h * real[..., None], (0, 0, 0, missing)).unflatten(1, (-1, rate))  # (B, slots, rate, d)
    marks = F.pad(real, (0, missing)).unflatten(1, (-1, rate)).any(-1).long()
    if attrs["map"] == "conv":
        return (h.flatten(2) @ params["weight"].permute(0, 2, 1).flatten(1).T + params["bias"], marks)
    return (h.mean(2) if attrs["map"] == "mean" else h.amax(2), marks)
