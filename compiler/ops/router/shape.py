"""Which experts a token uses, and with which weights: logits (B, S, E) -> weights (B, S, K), indices (B, S, K).

score -> + select_bias for choosing only -> groups -> top-k -> weights from the unbiased scores -> ·scale. Groups keep
the `groups_keep` best of `groups` groups by their maximum (DeepSeek-V2, arXiv 2405.04434) or the sum of their two best
(V3, arXiv 2412.19437); experts of the others cannot be chosen. weights: "as_scored", "sum_to_one" (divided by their sum
+ eps), "softmax_selected" (softmax over the chosen scores).
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class Router(Op):
    name = "router"
    kind = "choice of experts"
    fields = {"top_k": REQUIRED, "score": "softmax", "select_bias": False, "groups": None, "groups_keep": None,
              "groups_score": "max", "weights": "as_scored", "eps": 0, "scale": 1, "at_least": "fp32"}  # fmt: skip

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        n = int(inputs[0].shape[-1])
        if attrs["top_k"] > n:
            return f"top_k {attrs['top_k']} of {n} experts"
        groups = attrs.get("groups")
        return f"{n} experts are not a multiple of {groups} groups" if groups and n % groups else None

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        shape = (*inputs[0].shape[:-1], attrs["top_k"])
        return TensorType(inputs[0].dtype, shape), TensorType("int", shape)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        return {"select_bias": (int(inputs[0].shape[-1]),)} if attrs.get("select_bias") else {}


OP = Router()
