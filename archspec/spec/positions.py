"""Positions relative to the op: rotary, biases, relative vectors, temperature."""

from typing import Annotated, ClassVar, Literal

from archspec.spec import rules, rules_ops
from archspec.spec.masks import Mask
from archspec.spec.node import (
    Choice,
    Count,
    Flag,
    Identifier,
    Node,
    NonNegative,
    Number,
    Owner,
    Positive,
    Real,
    Size,
    formula,
)
from archspec.spec.norms import Norm
from archspec.spec.rule import distinct

Ladder = Literal["open", "closed"]  # closed: the last frequency is exactly theta; open: one short of it
Layout = Literal["halves", "interleaved"]
At = Literal["after_scale", "before_scale"]
Float = Literal["fp64", "fp32", "bf16", "fp16"]


class LinearScaling(Node):
    type: Literal["linear"] = "linear"
    factor: Positive


class DynamicScaling(Node):
    """NTK-aware base that grows with the length n of the text beyond `original_length`:
    theta·(1 + factor·(n/original_length - 1))^(dims/(dims - 2))."""

    type: Literal["dynamic"] = "dynamic"
    factor: Positive
    original_length: Size = formula("=max_length")


class Llama3Scaling(Node):
    type: Literal["llama3"] = "llama3"
    factor: Positive
    low: Positive = 1
    high: Positive = 4
    original_length: Size


class YarnScaling(Node):
    """arXiv 2309.00071; `gain` multiplies the rotated q and k."""

    type: Literal["yarn"] = "yarn"
    factor: Positive
    original_length: Size
    beta_fast: Positive = 32
    beta_slow: Positive = 1
    truncate: Flag = True
    gain: Positive = formula("=0.1*log(factor)+1")


class ByLengthScaling(Node):
    """LongRoPE, arXiv 2402.13753: one factor for each pair, `short` in texts up to `original_length`, `long` in longer
    ones."""

    type: Literal["by_length"] = "by_length"
    short: tuple[Positive, ...]
    long: tuple[Positive, ...]
    original_length: Size
    gain: Positive = formula("=sqrt(1+max(0,log(max_length/original_length)/log(original_length)))")


RopeScaling = Annotated[
    LinearScaling | DynamicScaling | Llama3Scaling | YarnScaling | ByLengthScaling, Choice("rope scaling")
]


Sides = Annotated[int, Number(whole=True, least=1, most=2)]


class Clip(Node):
    """Distances clipped to [-left, right]."""

    type: Literal["clip"] = "clip"
    left: Count
    right: Count


class LogBuckets(Node):
    """T5's buckets; `sides` 2 tells before from after."""

    type: Literal["log_buckets"] = "log_buckets"
    buckets: Size
    max: Size
    sides: Sides = 2
    RULES: ClassVar = (rules.buckets,)


class Exact(Node):
    type: Literal["exact"] = "exact"
    max: Size


Distance = Annotated[Clip | LogBuckets | Exact, Choice("distance")]


class TableVectors(Owner):
    type: Literal["table"] = "table"
    distance: Distance
    per_head: Flag = False
    norm: Norm | None = None
    SHAPE: ClassVar = ("distance", "per_head")


class SinusoidVectors(Node):
    type: Literal["sinusoid"] = "sinusoid"
    layout: Layout = "halves"
    clamp: Size | None = None
    ladder: Ladder = "open"


Vectors = Annotated[TableVectors | SinusoidVectors, Choice("vectors")]


class Rope(Node):
    """Rotates the first `dims` of each head from `offset` on; `decay_base` makes it xPos."""

    type: Literal["rope"] = "rope"
    theta: Positive = 10000
    pairing: Literal["half", "interleaved"] = "half"
    dims: Size = formula("=d_head")
    offset: Count = 0
    ladder: Ladder = "open"
    rotates: tuple[Literal["q", "k", "v"], ...] = ("q", "k")
    scaling: RopeScaling | None = None
    decay_base: Positive | None = None
    ids: Identifier | None = None
    RULES: ClassVar = (rules_ops.rope, distinct("rotates"))


class Alibi(Node):
    type: Literal["alibi"] = "alibi"
    max_bias: Positive = 8
    at: At = "after_scale"
    computed_in: Float = "fp32"


class RelativeBias(Owner):
    """A learned number for each distance and head."""

    type: Literal["relative_bias"] = "relative_bias"
    distance: Distance
    at: At = "after_scale"
    SHAPE: ClassVar = ("distance",)


class RelativeVectors(Owner):
    """Vectors r by distance; `terms` names what is added to the scores: q·r, k·r, u·k, v·r, and s, a learned number.
    `skip_first`: pairs with the first row have no distance (Funnel's first token); u·k stays."""

    type: Literal["relative_vectors"] = "relative_vectors"
    vectors: Vectors
    terms: tuple[Literal["q_r", "k_r", "u_k", "v_r", "s"], ...] = ("q_r",)
    projection: Literal["none", "own", "shared"] = "none"
    skip_first: Flag = False
    SHAPE: ClassVar = ("vectors", "terms", "projection")
    RULES: ClassVar = (rules.vectors,)


class RelativeSegments(Owner):
    """XLNet: a learned vector for same segment or not; `skip_first`: neither for pairs with the first row."""

    type: Literal["relative_segments"] = "relative_segments"
    ids: Identifier = "token_type_ids"
    skip_first: Flag = False


class Temperature(Node):
    """q is multiplied by 1 + scale·log(1 + floor((position + 1) / floor))."""

    type: Literal["temperature"] = "temperature"
    floor: Size
    scale: NonNegative


class BiasWhere(Node):
    type: Literal["bias_where"] = "bias_where"
    mask: Mask
    add: Real


Position = Annotated[
    Rope | Alibi | RelativeBias | RelativeVectors | RelativeSegments | Temperature | BiasWhere, Choice("position")
]
