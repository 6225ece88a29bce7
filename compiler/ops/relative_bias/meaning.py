"""Reference meaning of `relative_bias`."""

import math

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def bucket(distance: Attrs, offset: Tensor) -> Tensor:
    """Table row of each offset j - i."""
    match distance["type"]:
        case "clip":
            return offset.clamp(-distance["left"], distance["right"]) + distance["left"]
        case "exact":
            return offset.clamp(-distance["max"], distance["max"]) + distance["max"]
    n, first = distance["buckets"], torch.zeros_like(offset)
    if distance.get("sides", 2) == 2:
        n //= 2
        first = (offset > 0).long() * n
        far = offset.abs()
    else:
        far = (-offset).clamp(min=0)
    exact = n // 2
    # The reference computes the logarithm in float32; the same here, so that edges fall alike.
    log = torch.log(far.float().clamp(min=1) / exact) / math.log(distance["max"] / exact) * (n - exact)
    return first + torch.where(far < exact, far, (exact + log.long()).clamp(max=n - 1))


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    new, total = inputs[0].shape[2], inputs[1].shape[2]
    i, j = torch.arange(total - new, total), torch.arange(total)
    if attrs.get("spacing"):
        (q_stride, q_first), (k_stride, k_first) = attrs["spacing"]
        i, j = q_first + q_stride * torch.arange(new), k_first + k_stride * j
    offset = j[None, :] - i[:, None]
    return (params["weight"][bucket(attrs["distance"], offset)].permute(2, 0, 1)[None],)
