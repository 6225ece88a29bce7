"""What enters a stack: parts added up, then what acts on the sum."""

from typing import Annotated, ClassVar, Literal

from archspec.spec import rules_inputs
from archspec.spec.node import Choice, Count, Flag, Identifier, Name, Node, Owner, Positive, Real, Size, Whole, formula
from archspec.spec.norms import Activation, Norm, Pointwise
from archspec.spec.positions import Ladder, Layout


class PartBase(Owner):
    scale: Real = 1
    then: tuple[Pointwise, ...] = ()


class Tokens(PartBase):
    type: Literal["tokens"] = "tokens"
    name: Identifier = "input_ids"
    size: Size = formula("=vocab_size")
    width: Size = formula("=d_model")
    SHAPE: ClassVar = ("size", "width")


class TokenTypes(PartBase):
    type: Literal["token_types"] = "token_types"
    name: Identifier = "token_type_ids"
    size: Size
    width: Size = formula("=d_model")
    SHAPE: ClassVar = ("size", "width")


class Learned(PartBase):
    """A row for each position, the first at `offset`."""

    type: Literal["learned"] = "learned"
    size: Size
    offset: Whole = 0
    width: Size = formula("=d_model")
    SHAPE: ClassVar = ("size", "width")


class Sinusoid(PartBase):
    type: Literal["sinusoid"] = "sinusoid"
    layout: Layout = "halves"
    ladder: Ladder = "open"
    offset: Whole = 0
    width: Size = formula("=d_model")
    RULES: ClassVar = (rules_inputs.sinusoid,)


class Axial(PartBase):
    """One table for each axis of `shape`, `widths` joined."""

    type: Literal["axial"] = "axial"
    shape: tuple[Size, ...]
    widths: tuple[Size, ...]
    SHAPE: ClassVar = ("shape", "widths")
    RULES: ClassVar = (rules_inputs.axial,)


class Features(PartBase):
    """Vectors given at run time, `count` of them where that is always the same."""

    type: Literal["features"] = "features"
    name: Identifier = "features"
    width: Size = formula("=d_model")
    count: Size | None = None


class Latents(PartBase):
    """Learned vectors, the same for every sequence."""

    type: Literal["latents"] = "latents"
    count: Size
    SHAPE: ClassVar = ("count",)


class Placeholder(PartBase):
    """One learned vector on each row of the input named `rows`."""

    type: Literal["placeholder"] = "placeholder"
    rows: Identifier


class Patches(PartBase):
    """An image of size² pixels cut into patch² squares."""

    type: Literal["patches"] = "patches"
    name: Identifier = "pixel_values"
    channels: Size = 3
    size: Size
    patch: Size
    class_token: Flag = False
    bias: Flag = False
    SHAPE: ClassVar = ("channels", "patch", "class_token", "bias")
    RULES: ClassVar = (rules_inputs.patches,)


class AudioConv(PartBase):
    type: Literal["audio_conv"] = "audio_conv"
    name: Identifier = "input_values"
    channels: tuple[Size, ...]
    kernels: tuple[Size, ...]
    strides: tuple[Size, ...]
    norm: Norm | None = None
    activation: Activation = "gelu"
    bias: Flag = False
    SHAPE: ClassVar = ("channels", "kernels", "strides", "bias")
    RULES: ClassVar = (rules_inputs.audio,)


class AdaptiveTokens(PartBase):
    """Adaptive embeddings (arXiv 1809.10853): clusters end at `cutoffs`, each narrower by `divide`."""

    type: Literal["adaptive_tokens"] = "adaptive_tokens"
    name: Identifier = "input_ids"
    size: Size = formula("=vocab_size")
    cutoffs: tuple[Size, ...]
    divide: Positive
    SHAPE: ClassVar = ("size", "cutoffs", "divide")
    RULES: ClassVar = (rules_inputs.cutoffs,)


Part = Annotated[
    Tokens
    | TokenTypes
    | Learned
    | Sinusoid
    | Axial
    | Features
    | Latents
    | Placeholder
    | Patches
    | AudioConv
    | AdaptiveTokens,
    Choice("part"),
]


class IndexPositions(Node):
    type: Literal["index"] = "index"


class CountMask(Node):
    """The number of visible tokens before."""

    type: Literal["count_mask"] = "count_mask"


class CountNonpad(Node):
    """Counted from 1 over ids that are not `pad_id`; padding sits at 0. A table's `offset` adds what it needs."""

    type: Literal["count_nonpad"] = "count_nonpad"
    pad_id: Count


class InputPositions(Node):
    type: Literal["input"] = "input"
    name: Identifier = "position_ids"


Positions = Annotated[IndexPositions | CountMask | CountNonpad | InputPositions, Choice("positions")]


class Input(Node):
    name: Name = "text"
    sum: tuple[Part, ...]
    then: tuple[Pointwise, ...] = ()
    positions: Positions = IndexPositions()
    RULES: ClassVar = (rules_inputs.widths,)
