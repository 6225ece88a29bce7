"""Rows mixed along the sequence: (B, S, d) -> (B, rank, d), weight (rank, length) of which the first S columns count
(Linformer, arXiv 2006.04768). S is at most `length`."""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op


class LengthProjection(Op):
    name = "length_projection"
    fields = {"rank": REQUIRED, "length": REQUIRED}

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        b, _, width = inputs[0].shape
        return (TensorType(inputs[0].dtype, (b, attrs["rank"], width)),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        return {"weight": (attrs["rank"], attrs["length"])}

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        n = 2 * inputs[0].elements(env) * attrs["rank"]
        return Flops(n, n)

    def lookahead(self, attrs: Attrs) -> str | None:
        return "keys are mixed along the whole sequence"


OP = LengthProjection()
