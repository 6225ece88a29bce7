"""Rotary positions on the first `dims` of each head from `offset` on (Su et al. 2021, arXiv 2104.09864).

pairing "half" rotates (i, i + dims/2), "interleaved" (2i, 2i + 1). ladder "open": theta^(-2i/dims); "closed": the last
frequency is exactly 1/theta (angles 1/theta^linspace(0, 1, dims/2), torchscale RetNet). scaling as in the spec, by the
number of rows where it follows the text's length; see `frequencies.py`. Computed in at least `at_least`.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op
from compiler.ops.rope.frequencies import original_length


class Rope(Op):
    name = "rope"
    saves = ()
    fields = {"theta": REQUIRED, "dims": REQUIRED, "pairing": "half", "offset": 0, "ladder": "open", "scaling": None,
              "max_length": 0, "at_least": "fp32"}  # fmt: skip
    n_inputs = (2, 2)  # x (B, H, S, D), positions (B, S)

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        width, need = int(inputs[0].shape[-1]), attrs["dims"] + attrs.get("offset", 0)
        if attrs["dims"] % 2:
            return f"rotary dims must be even, found {attrs['dims']}"
        return None if need <= width else f"the rotary slice ends at {need}, the head has {width}"

    def changes_beyond(self, attrs: Attrs) -> int | None:
        return original_length(attrs)


OP = Rope()
