"""Reference meaning of `positions`."""

import torch
from torch import Tensor

from archspec.errors import InputError
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    if attrs.get("given") in ctx.inputs:
        return (ctx.inputs[attrs["given"]],)
    ids, mask = inputs
    match attrs["counts"]:
        case "input":
            raise InputError(f"the input {attrs['given']} is missing")
        case "count_mask":
            return ((mask.long().cumsum(1) - 1).clamp(min=0),)
        case "count_nonpad":
            real = (ids != attrs["pad_id"]).long()
            return (real.cumsum(1) * real,)
    return (torch.arange(ids.shape[1], device=ids.device).expand(ids.shape[:2]),)
