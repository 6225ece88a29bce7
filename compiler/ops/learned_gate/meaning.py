"""Reference meaning of `learned_gate`."""

from torch import Tensor

from compiler.ops.activation.meaning import activate
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    weight = params["weight"]
    return (inputs[0] * (activate(weight, attrs["function"]) if attrs.get("function") else weight),)
