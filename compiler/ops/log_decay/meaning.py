"""Reference meaning of `log_decay`."""

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    if attrs["function"] == "sigmoid":
        return (F.logsigmoid(inputs[0]) / attrs.get("divide", 1),)
    return (-torch.exp(params["a"]) * F.softplus(inputs[0] + params["bias"]) / attrs.get("divide", 1),)
