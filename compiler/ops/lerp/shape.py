"""x·mix + previous·(1 - mix), one learned mix for each channel (RWKV's token shift, arXiv 2305.13048, section 3.1)."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import Attrs, Op


class Lerp(Op):
    name = "lerp"
    n_inputs = (2, 2)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        return {"mix": (int(inputs[0].shape[-1]),)}


OP = Lerp()
