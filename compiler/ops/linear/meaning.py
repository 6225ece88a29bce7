"""Reference meaning of `linear`."""

from torch import Tensor

from compiler.ops.activation.meaning import activate
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    y = inputs[0] @ params["weight"].T
    if attrs.get("bias"):
        y = y + params["bias"]
    if attrs.get("activation"):
        y = activate(y, attrs["activation"])
    return (y,)
