"""Reference meaning of `causal_conv`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x, kernel = inputs[0], attrs["kernel"]
    padded = torch.cat([x.new_zeros(x.shape[0], kernel - 1, x.shape[2]), x], 1)
    y = sum(params["weight"][:, i] * padded[:, i : i + x.shape[1]] for i in range(kernel))
    return (y + params["bias"] if attrs.get("bias") else y,)  # type: ignore[return-value]
