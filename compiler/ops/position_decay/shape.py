"""x (B, H, S, D) times zeta^(±position/base), one zeta for each rotated pair of channels: xPos (Sun et al. 2022, arXiv
2212.10554, section 3.2).

zeta of pair i of n is (i/n + 0.4) / 1.4. `sign` 1 for queries, -1 for keys, so that a score carries zeta^(distance);
positions may start anywhere. `dims`, `offset` and `pairing` place the pairs as in `rope`.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class PositionDecay(Op):
    name = "position_decay"
    saves = ()
    fields = {"base": REQUIRED, "sign": REQUIRED, "dims": REQUIRED, "offset": 0, "pairing": "half",
              "at_least": "fp32"}  # fmt: skip
    n_inputs = (2, 2)  # x, positions (B, S)

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        width, need = int(inputs[0].shape[-1]), attrs["dims"] + attrs.get("offset", 0)
        return None if need <= width else f"the decayed slice ends at {need}, the head has {width}"


def zetas(attrs: Attrs, width: int) -> list[float]:
    """One base for each channel of a head; 1 outside the slice."""
    half, start = attrs["dims"] // 2, attrs.get("offset", 0)
    pairs = [(i / half + 0.4) / 1.4 for i in range(half)]
    inside = pairs * 2 if attrs.get("pairing", "half") == "half" else [z for z in pairs for _ in range(2)]
    return [1.0] * start + inside + [1.0] * (width - start - attrs["dims"])


OP = PositionDecay()
