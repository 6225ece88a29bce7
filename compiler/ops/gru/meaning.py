"""Reference meaning of `gru`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    r, y = inputs
    reset, update, new = (y @ params["input_weight"].T + params["input_bias"]).chunk(3, -1)
    reset_r, update_r, new_r = (r @ params["hidden_weight"].T + params["hidden_bias"]).chunk(3, -1)
    z = torch.sigmoid(update + update_r)
    n = torch.tanh(new + torch.sigmoid(reset + reset_r) * new_r)
    return ((1 - z) * n + z * r,)
