"""y = x · fn(g): one learned number for all channels, or one for each."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import Attrs, Op


class LearnedGate(Op):
    name = "learned_gate"
    kind = "elementwise"
    fields = {"function": None, "of": "scalar"}

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        return {"weight": (1 if attrs.get("of", "scalar") == "scalar" else int(inputs[0].shape[-1]),)}


OP = LearnedGate()
