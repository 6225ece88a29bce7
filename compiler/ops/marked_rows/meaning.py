"""Reference meaning of `marked_rows`."""

from torch import Tensor

from compiler.masks.dense import dense_mask
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    q, keys, real, *given = inputs
    named = dict(zip(attrs.get("mask_inputs", []), given, strict=True))
    seen = dense_mask(attrs["mask"], q.shape[1], keys.shape[1], named)
    if real.numel():
        seen = seen & real.bool()[:, None, None]
    return (seen.any(-1).any(1).expand(q.shape[:2]),)
