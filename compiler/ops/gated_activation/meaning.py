"""Reference meaning of `gated_activation`."""

from torch import Tensor

from compiler.ops.activation.meaning import activate
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    gate, up = inputs[0].chunk(2, -1)  # each (…, F)
    return (activate(gate, attrs["function"]) * up,)
