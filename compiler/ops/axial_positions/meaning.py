"""Reference meaning of `axial_positions`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    rest = inputs[0]
    parts: list[Tensor] = []
    for i in reversed(range(len(attrs["shape"]))):
        parts.insert(0, params[f"axis_{i}"][rest % attrs["shape"][i]])
        rest = rest // attrs["shape"][i]
    if bool((rest > 0).any()):
        raise ValueError(f"a position beyond the grid {list(attrs['shape'])}")
    return (torch.cat(parts, -1),)
