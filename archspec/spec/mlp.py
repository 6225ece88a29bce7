"""Feed-forward layers and mixtures of experts."""

from typing import Annotated, ClassVar, Literal

from archspec.spec import rules_ops
from archspec.spec.node import Choice, Count, Flag, Node, NonNegative, Owner, Positive, Real, Size
from archspec.spec.norms import Activation, Norm
from archspec.spec.rule import distinct, norm_groups


class Mlp(Owner):
    """down(inner_norm(act(up(x))))"""

    type: Literal["mlp"] = "mlp"
    d_ff: Size
    activation: Activation
    bias: tuple[Literal["up", "down"], ...] = ()
    inner_norm: Norm | None = None
    SHAPE: ClassVar = ("d_ff", "bias", "inner_norm")
    RULES: ClassVar = (distinct("bias"), norm_groups("inner_norm", lambda op: (op.d_ff,)))


class GatedMlp(Owner):
    """down(inner_norm(act(gate·x) ⊙ (up·x + up_offset))); `clamp` bounds both factors."""

    type: Literal["gated_mlp"] = "gated_mlp"
    d_ff: Size
    activation: Activation
    bias: tuple[Literal["up", "gate", "down"], ...] = ()
    inner_norm: Norm | None = None
    up_offset: Real = 0
    clamp: Positive | None = None
    SHAPE: ClassVar = ("d_ff", "bias", "inner_norm")
    RULES: ClassVar = (distinct("bias"), norm_groups("inner_norm", lambda op: (op.d_ff,)))


class ShiftedMlp(Owner):
    """RWKV channel mixing: each position mixed with the one before it."""

    type: Literal["shifted_mlp"] = "shifted_mlp"
    d_ff: Size
    activation: Activation = "relu2"
    SHAPE: ClassVar = ("d_ff",)


class LinearOp(Owner):
    """One matrix to the width of the written stream."""

    type: Literal["linear"] = "linear"
    bias: Flag = False
    SHAPE: ClassVar = ("bias",)


class Identity(Node):
    type: Literal["identity"] = "identity"


Expert = Annotated[Mlp | GatedMlp, Choice("expert")]


class SharedExpert(Node):
    """An expert that every token uses, multiplied by a sigmoid of one projected number if gated."""

    expert: Expert
    gate: Literal["none", "sigmoid"] = "none"
    SHAPE: ClassVar = ("expert", "gate")


class Groups(Node):
    """Only the `keep` best of `count` groups of experts take part in the choice."""

    count: Size
    keep: Size
    score: Literal["max", "top2_sum"] = "max"


class AsScored(Node):
    type: Literal["as_scored"] = "as_scored"


class SumToOne(Node):
    """Weights divided by their sum + eps: of all chosen experts, or of those in which the token found a place."""

    type: Literal["sum_to_one"] = "sum_to_one"
    eps: NonNegative = 0
    of: Literal["chosen", "placed"] = "chosen"


class SoftmaxSelected(Node):
    type: Literal["softmax_selected"] = "softmax_selected"


ExpertWeights = Annotated[AsScored | SumToOne | SoftmaxSelected, Choice("expert weights")]


class Always(Node):
    type: Literal["always"] = "always"


class Threshold(Node):
    """Choices after the first are used only with a weight above this."""

    type: Literal["threshold"] = "threshold"
    above: NonNegative


class RandomChoice(Node):
    """Choices after the first are used when a uniform draw is below weight / threshold."""

    type: Literal["random"] = "random"
    threshold: Positive


LaterChoices = Annotated[Always | Threshold | RandomChoice, Choice("later choices")]
Over = Literal["sequence", "batch"]  # the tokens that compete for an expert's places


class TokenCapacity(Node):
    type: Literal["tokens"] = "tokens"
    per_expert: Size
    over: Over = "sequence"


class FactorCapacity(Node):
    """max(min, factor·tokens/experts) places in each expert."""

    type: Literal["factor"] = "factor"
    factor: Positive
    min: Count = 0
    over: Over = "sequence"


class FractionCapacity(Node):
    type: Literal["fraction"] = "fraction"
    fraction: Positive
    over: Over = "sequence"
    RULES: ClassVar = (rules_ops.fraction,)


Capacity = Annotated[TokenCapacity | FactorCapacity | FractionCapacity, Choice("capacity")]


class Router(Node):
    """Which experts a token goes to. Choices from `n_experts` on, `identity_experts` of them, are chosen, weighted and
    placed like the others and give the token itself (arXiv 2509.01322)."""

    score: Literal["softmax", "sigmoid", "logits"] = "softmax"
    bias: Flag = False
    select_bias: Flag = False
    groups: Groups | None = None
    top_k: Size
    weights: ExpertWeights = AsScored()
    scale: Real = 1
    weigh: Literal["output", "input"] = "output"
    later_choices: LaterChoices = Always()
    capacity: Capacity | None = None
    identity_experts: Count = 0
    SHAPE: ClassVar = ("bias", "select_bias", "identity_experts")


class Moe(Owner):
    type: Literal["moe"] = "moe"
    n_experts: Size
    expert: Expert
    router: Router
    shared: SharedExpert | None = None
    SHAPE: ClassVar = ("n_experts", "expert", "router", "shared")
    RULES: ClassVar = (rules_ops.moe,)
