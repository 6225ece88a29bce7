"""Expert choices that find no place count nothing: weights (B, S, K), indices (B, S, K) -> weights (B, S, K).

`above`: a choice after the first is dropped unless its weight is greater, and takes no place (GShard's threshold).
`capacity`: places in each expert, given out in sequence order, to first choices before second ones: "tokens"
{per_expert}, "factor" {factor, min} (max(min, factor·tokens/experts), at most all tokens; GShard, arXiv 2006.16668),
"fraction" {fraction} (of the tokens, rounded up). `over` "sequence" or "batch": the tokens that compete, padding too. A
dropped choice keeps its index and has weight 0. `share`: the weights left over are divided by their sum + `share`
(NLLB, arXiv 2207.04672, in fairseq's code); None: they are not. Experts work on dropped choices too, and
operations count them.
"""

from collections.abc import Sequence
from math import ceil

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op, StateTensor


class LimitChoices(Op):
    name = "limit_choices"
    saves = ()
    fields = {"n_experts": REQUIRED, "top_k": REQUIRED, "capacity": None, "above": None, "share": None}
    n_inputs = (2, 2)

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        return None if inputs[0].shape == inputs[1].shape else "a weight for each choice is needed"

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        """How many places of each expert are taken."""
        if attrs.get("capacity") is None or self.lookahead(attrs) or inputs[0].shape[1] != "S":
            return ()
        return (StateTensor("taken", (inputs[0].shape[0], attrs["n_experts"]), "constant", "int"),)

    def lookahead(self, attrs: Attrs) -> str | None:
        capacity = attrs.get("capacity")
        if capacity is None:
            return None
        if capacity["type"] != "tokens":
            return f"the places in an expert are a {capacity['type']} of all tokens, later ones included"
        if capacity.get("over", "sequence") == "batch":
            return "tokens of all sequences compete for the places in an expert"
        return None if attrs["top_k"] == 1 else "second choices get their places after all first ones"


def never_full(capacity: Attrs, experts: int) -> bool:
    """Is there a place for every token in each expert, however they choose? (None chooses an expert twice.)"""
    whole = {"fraction": 1, "factor": experts}
    return capacity["type"] in whole and bool(capacity[capacity["type"]] >= whole[capacity["type"]])


def places(capacity: Attrs, tokens: int, experts: int) -> int:
    """Places in each expert for so many competing tokens."""
    match capacity["type"]:
        case "tokens":
            return int(capacity["per_expert"])
        case "factor":
            return max(int(capacity.get("min", 0)), min(tokens, int(capacity["factor"] * tokens / experts)))
    return ceil(capacity["fraction"] * tokens)


OP = LimitChoices()
