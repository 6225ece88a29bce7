"""Reference meaning of `patches`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    image, size = inputs[0], attrs["patch"]
    squares = image.unfold(2, size, size).unfold(3, size, size)  # (B, C, rows, columns, patch, patch)
    rows = squares.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2) @ params["weight"].flatten(1).T
    rows = rows + params["bias"] if attrs.get("bias") else rows
    if attrs.get("class_token"):
        rows = torch.cat([params["class_token"].expand(len(rows), 1, -1), rows], 1)
    return (rows,)
