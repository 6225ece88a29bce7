"""Reference meaning of `slot_places`."""

import torch
from torch import Tensor

from compiler.ops.base import Attrs
from compiler.ops.context import Context
from compiler.ops.slot_places.shape import in_view


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    rows, slots = inputs
    segment, after = attrs["segment"], attrs["after"]
    i, number = torch.arange(rows.shape[1]), torch.arange(slots.shape[1])
    start = i // segment * segment
    evicted = (start - after).clamp(min=0)  # tokens that left the memory before the segment
    near = i - evicted + evicted // attrs["rate"]
    shift = torch.zeros_like(i)
    if attrs.get("align") == "oldest":
        here = (evicted // attrs["rate"]).clamp(max=attrs["slots"]) + start.clamp(max=after) + segment
        shift = in_view(attrs) - here
    each = rows.shape[0]
    return shift.expand(each, -1), (near + shift).expand(each, -1), number.expand(each, -1)
