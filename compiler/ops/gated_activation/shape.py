"""act(gate) · up of a packed (…, 2F) tensor [gate | up] -> (…, F): the middle of a gated MLP (arXiv 2002.05202)."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.activation.shape import FUNCTIONS
from compiler.ops.base import REQUIRED, Attrs, Env, Op


class GatedActivation(Op):
    name = "gated_activation"
    kind = "elementwise"
    fields = {"function": REQUIRED}

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        if attrs["function"] not in FUNCTIONS:
            return f"no activation {attrs['function']!r}"
        width = int(inputs[0].shape[-1])
        return f"width {width} does not hold a gate and an up of one size" if width % 2 else None

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].dtype, (*inputs[0].shape[:-1], int(inputs[0].shape[-1]) // 2)),)

    def inside(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        """act(gate), where no compiler joins it with the product."""
        return inputs[0].elements(env) // 2


OP = GatedActivation()
