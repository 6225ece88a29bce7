"""An elementwise function by name."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op

FUNCTIONS = (
    "relu", "relu2", "relu6", "leaky_relu", "gelu", "gelu_tanh", "gelu_quick", "silu", "sigmoid", "tanh", "softplus",
    "elu", "mish", "elu_plus_one", "exp", "softmax",
)  # fmt: skip

FROM_OUTPUT = ("relu", "sigmoid", "tanh", "exp", "softmax")  # whose derivative is a function of the output


class Activation(Op):
    name = "activation"
    kind = "elementwise"
    fields = {"function": REQUIRED}

    def kept(self, attrs: Attrs) -> tuple[str, ...]:
        return ("outputs",) if attrs["function"] in FROM_OUTPUT else ("inputs",)

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        return None if attrs["function"] in FUNCTIONS else f"no activation {attrs['function']!r}"


OP = Activation()
