"""One learned table for each axis of a grid, their rows joined: positions (B, S) -> (B, S, sum of widths).

Position p stands at (p // shape[1], p % shape[1]) for two axes, and so on for more (Reformer, arXiv 2001.04451).
Parameters: axis_0 (shape[0], widths[0]), axis_1, ...
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class AxialPositions(Op):
    name = "axial_positions"
    saves = ()
    fields = {"shape": REQUIRED, "widths": REQUIRED}

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType("float", (*inputs[0].shape, sum(attrs["widths"]))),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        sizes = zip(attrs["shape"], attrs["widths"], strict=True)
        return {f"axis_{i}": size for i, size in enumerate(sizes)}


OP = AxialPositions()
