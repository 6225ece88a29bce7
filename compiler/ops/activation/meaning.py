"""Reference meaning of `activation`."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def activate(x: Tensor, kind: str) -> Tensor:
    """Each activation by its formula; `gelu` is the erf form, `gelu_tanh` the tanh form (GPT-2's gelu_new)."""
    match kind:
        case "relu":
            return torch.relu(x)
        case "relu2":
            return torch.relu(x) ** 2
        case "relu6":
            return x.clamp(0, 6)
        case "leaky_relu":
            return torch.where(x > 0, x, 0.01 * x)
        case "elu":
            return F.elu(x)
        case "mish":
            return x * torch.tanh(F.softplus(x))
        case "gelu":
            return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))
        case "gelu_tanh":
            return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        case "gelu_quick":
            return x * torch.sigmoid(1.702 * x)
        case "silu":
            return x * torch.sigmoid(x)
        case "sigmoid":
            return torch.sigmoid(x)
        case "tanh":
            return torch.tanh(x)
        case "softplus":
            return F.softplus(x)
        case "elu_plus_one":
            return F.elu(x) + 1
        case "exp":
            return torch.exp(x)
        case "softmax":
            return torch.softmax(x, -1)
    raise ValueError(kind)


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    return (activate(inputs[0], attrs["function"]),)
