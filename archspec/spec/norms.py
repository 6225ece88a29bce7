"""Norms, activations and what acts on each position alone."""

from typing import Annotated, ClassVar, Literal

from archspec.spec.node import Choice, Flag, Node, NonNegative, Owner, Real, Size

Activation = Literal[
    "identity", "relu", "relu2", "relu6", "leaky_relu", "gelu", "gelu_tanh", "gelu_quick", "silu", "sigmoid", "tanh",
    "softplus", "elu", "mish",
]  # fmt: skip
Gain = Literal["weight", "one_plus", "none"]  # the factor is w, 1 + w, or absent
EpsAt = Literal["inside", "outside"]  # of the square root


class LayerNorm(Owner):
    type: Literal["layer"] = "layer"
    eps: NonNegative = 1e-5
    gain: Gain = "weight"
    bias: Flag = True
    eps_at: EpsAt = "inside"
    SHAPE: ClassVar = ("gain", "bias")


class RmsNorm(Owner):
    type: Literal["rms"] = "rms"
    eps: NonNegative = 1e-5
    gain: Gain = "weight"
    bias: Flag = False
    eps_at: EpsAt = "inside"
    SHAPE: ClassVar = ("gain", "bias")


class L2Norm(Node):
    """x / sqrt(sum x² + eps)"""

    type: Literal["l2"] = "l2"
    eps: NonNegative = 1e-6
    eps_at: EpsAt = "inside"


class GroupNorm(Owner):
    type: Literal["group"] = "group"
    groups: Size
    eps: NonNegative = 1e-5
    gain: Gain = "weight"
    bias: Flag = True
    SHAPE: ClassVar = ("gain", "bias")


class BatchNorm(Owner):
    """With its stored mean and variance: inference."""

    type: Literal["batch"] = "batch"
    eps: NonNegative = 1e-5
    gain: Gain = "weight"
    bias: Flag = True
    SHAPE: ClassVar = ("gain", "bias")


class GainNorm(Owner):
    """A learned factor only."""

    type: Literal["gain"] = "gain"


Norm = Annotated[LayerNorm | RmsNorm | L2Norm | GroupNorm | BatchNorm | GainNorm, Choice("norm")]


class LinearMap(Owner):
    """x W^T (+ b)"""

    type: Literal["linear"] = "linear"
    width: Size
    bias: Flag = False
    SHAPE: ClassVar = ("width", "bias")


class ActivationMap(Node):
    type: Literal["activation"] = "activation"
    kind: Activation


class ScaleMap(Node):
    type: Literal["scale"] = "scale"
    by: Real


Pointwise = Annotated[
    LayerNorm | RmsNorm | L2Norm | GroupNorm | BatchNorm | GainNorm | LinearMap | ActivationMap | ScaleMap,
    Choice("pointwise"),
]
