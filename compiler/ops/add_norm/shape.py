"""s = left·r + right·y and norm(s): a residual addition and the norm that reads it, in one pass over memory.

Inputs r and y of one shape; outputs s, then norm(s). `norm` names the operator of the norm; the fields after it are
that operator's, all written out.
"""

from collections.abc import Sequence

from compiler import ops
from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op

NORMS = ("rms_norm", "layer_norm")


class AddNorm(Op):
    name = "add_norm"
    kind = "norm"
    fields = {"left": 1, "right": 1, "norm": REQUIRED, "eps": REQUIRED, "gain": REQUIRED, "bias": REQUIRED,
              "eps_at": "inside", "groups": 1, "at_least": "fp32"}  # fmt: skip
    n_inputs = (2, 2)

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        if attrs["norm"] not in NORMS:
            return f"no norm {attrs['norm']!r}, only {', '.join(NORMS)}"
        return None if inputs[0] == inputs[1] else f"{inputs[0]} and {inputs[1]} are not of one shape"

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (inputs[0], inputs[0])

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        return ops.get(attrs["norm"]).params(inputs[:1], attrs)


OP = AddNorm()
