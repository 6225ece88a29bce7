"""What the reference meanings share: the run's context and the affine tail of a norm."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from compiler.ops.base import Attrs


@dataclass(frozen=True)
class Context:
    """`inputs`: the named inputs of the run (a node reads one when its attributes name it); `dtype`: the float type."""

    inputs: dict[str, Tensor] = field(default_factory=dict)
    dtype: torch.dtype = torch.float64


def affine(y: Tensor, params: dict[str, Tensor], attrs: Attrs) -> Tensor:
    """Gain and bias of a norm."""
    gain = attrs.get("gain", "weight")
    if gain == "weight":
        y = y * params["weight"]
    elif gain == "one_plus":
        y = y * (1 + params["weight"])
    return y + params["bias"] if attrs.get("bias") else y
