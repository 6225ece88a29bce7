"""Bias (B, H, 1, T): slope of the head times the key's count among unmasked keys (Press et al. 2022, arXiv 2108.12409).

Slopes 2^(-max_bias·i/n) for a power of two n; otherwise those of the next lower power, then every second one of the
next higher (the paper's code; BLOOM's build_alibi_tensor). `computed_in` rounds slopes, positions and product to a
narrower type (Falcon builds it in bfloat16). stride: keys are pooled rows, each of which stands for so many; a second
input are the keys then (B, G, T, D), of which only the length is read.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op

# Types that `computed_in` rounds to, by their names in torch; the others hold every product as it is.
NARROW = {"bf16": "bfloat16", "fp16": "float16"}


class Alibi(Op):
    name = "alibi"
    saves = ()
    fields = {"heads": REQUIRED, "max_bias": 8, "computed_in": None, "stride": 1}
    n_inputs = (1, 2)

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        b, t = inputs[0].shape
        return (TensorType("float", (b, attrs["heads"], 1, t)),)


def slopes(heads: int, max_bias: float) -> list[float]:
    """One slope for each head."""
    n = 1 << (heads.bit_length() - 1)
    out = [2 ** (-max_bias * (i + 1) / n) for i in range(n)]
    return out + [2 ** (-max_bias * (2 * i + 1) / (2 * n)) for i in range(heads - n)]


OP = Alibi()
