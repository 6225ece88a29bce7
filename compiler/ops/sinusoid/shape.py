"""Fixed sines and cosines of the positions (Vaswani et al. 2017, arXiv 1706.03762): (B, S) -> (B, S, width).

layout "interleaved": sin, cos, sin, cos; "halves": [sin | cos]. ladder "open": 10000^(-2i/width) (the paper);
"closed": the last frequency is exactly 1/10000 (tensor2tensor, fairseq). `offset` is added to the positions.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class Sinusoid(Op):
    name = "sinusoid"
    saves = ()
    fields = {"width": REQUIRED, "layout": "interleaved", "ladder": "open", "offset": 0}

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType("float", (*inputs[0].shape, attrs["width"])),)


def inverse_frequencies(attrs: Attrs) -> list[float]:
    half = attrs["width"] // 2
    last = max(half - 1, 1) if attrs.get("ladder") == "closed" else half
    return [float(10000.0 ** (-i / last)) for i in range(half)]


OP = Sinusoid()
