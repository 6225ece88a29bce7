"""Reference meaning of `adaptive_embedding`."""

import torch
from torch import Tensor

from compiler.ops.adaptive_embedding.shape import clusters, projected
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    ids = inputs[0]
    out = torch.zeros(*ids.shape, attrs["width"], dtype=ctx.dtype)
    for c, (low, high, _) in enumerate(clusters(attrs)):
        mine = (ids >= low) & (ids < high)
        rows = params[f"table_{c}"][ids[mine] - low]
        out[mine] = rows @ params[f"projection_{c}"].T if projected(attrs) else rows
    return (out,)
