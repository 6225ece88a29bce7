"""Reference meaning of `zero_keys`."""

import torch
from torch import Tensor

from compiler.masks.dense import dense_before
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    h, count = inputs[0], attrs["count"]
    keys, values = (h.new_zeros(len(h), attrs["heads"], count, attrs[d]) for d in ("d_key", "d_value"))
    rows = h.shape[1]
    places = torch.arange(rows).expand(len(h), -1), torch.arange(-count, 0).expand(len(h), -1)
    return keys, values, *places, dense_before(attrs["mask"], rows, rows, count)
