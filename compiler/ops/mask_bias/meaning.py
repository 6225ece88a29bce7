"""Reference meaning of `mask_bias`."""

from torch import Tensor

from compiler.masks.dense import dense_mask
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    q, k, *given = inputs
    named = dict(zip(attrs.get("mask_inputs", []), given, strict=True))
    where = dense_mask(attrs["mask"], q.shape[2], k.shape[2], named, q.device)
    return (where.to(ctx.dtype) * attrs["add"],)
