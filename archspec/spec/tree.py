"""The spec itself: stacks of layers, head, precision."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PrivateAttr

from archspec.spec import rules_inputs
from archspec.spec.inputs import Input
from archspec.spec.node import (
    Choice,
    Flag,
    Identifier,
    Name,
    Node,
    OneOrMany,
    Owner,
    Positive,
    Real,
    Size,
    WeightName,
    formula,
)
from archspec.spec.norms import Norm, Pointwise
from archspec.spec.steps import Read, Step


class Like(Node):
    """A block that is another one with some values replaced, each at a JSON pointer."""

    like: str
    set: dict[str, Any] = Field(default_factory=dict)
    KEY: ClassVar = "like"


class Repeat(Node):
    repeat: Size
    of: "tuple[Entry, ...]"
    KEY: ClassVar = "repeat"


class Use(Node):
    """One layer: a block, with its weights shared under a name, or with some values replaced."""

    block: str
    weights: WeightName | None = None
    set: dict[str, Any] = Field(default_factory=dict)
    KEY: ClassVar = "block"


Entry = Annotated[Repeat | Use, Choice("entry", by="key", bare="block")]


class Steps(Node):
    """A block written out. In JSON it is the list of its steps."""

    steps: tuple[Step, ...]
    KEY: ClassVar = "steps"


def _named_steps(value: Any) -> Any:
    return {"steps": value} if isinstance(value, list | tuple) else value


Block = Annotated[Steps | Like, Choice("block", by="key"), BeforeValidator(_named_steps)]


class Stack(Node):
    d_model: Size
    input: Annotated[tuple[Input, ...], OneOrMany()]
    streams: dict[Name, Name] = Field(default_factory=dict)
    blocks: dict[str, Block] = Field(default_factory=dict)
    layers: tuple[Entry, ...] = ()
    final_read: Read = "x"
    final_norm: Norm | None = None


class LinearLogits(Owner):
    """softcap(scale·W x + bias)"""

    type: Literal["linear"] = "linear"
    size: Size = formula("=vocab_size")
    bias: Flag = False
    scale: Real = 1
    softcap: Positive | None = None
    SHAPE: ClassVar = ("size",)


class AdaptiveSoftmax(Owner):
    type: Literal["adaptive_softmax"] = "adaptive_softmax"
    size: Size = formula("=vocab_size")
    cutoffs: tuple[Size, ...]
    divide: Positive
    tie_projections: Flag = False
    SHAPE: ClassVar = ("size", "cutoffs", "divide")
    RULES: ClassVar = (rules_inputs.cutoffs,)


class Head(Node):
    read: Literal["all", "first", "last", "mean"] = "all"
    then: tuple[Pointwise, ...] = ()
    logits: Annotated[LinearLogits | AdaptiveSoftmax, Choice("logits")] | None = None


Float = Literal["fp64", "fp32", "bf16", "fp16"]
StoredType = Literal[
    "fp64", "fp32", "bf16", "fp16", "fp8", "int8", "int4", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q2_k", "q3_k",
    "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs",
]  # fmt: skip


class AtLeast(Node):
    """Floors: the computation runs in the wider of this and the current type."""

    norm: Float = "fp32"
    softmax: Float = "fp32"
    router: Float = "fp32"
    scan: Float = "fp32"
    rotary: Float = "fp32"


class Precision(Node):
    """`weights`: one type, or types by kind of tensor or by a path or a pattern of paths ("*.attention.v.weight"), the
    first that fits; "default" is for the others."""

    weights: StoredType | dict[str, StoredType] = "bf16"
    activations: Float = "bf16"
    cache: StoredType | None = None  # as the activations
    residual: Float | None = None
    at_least: AtLeast = AtLeast()


class Spec(Node):
    archspec: Literal[1]
    name: str = ""
    source: str = ""
    notes: str | tuple[str, ...] = ""
    vocab_size: Size | None = None
    max_length: Size | None = None
    stacks: dict[Identifier, Stack]
    output: str | None = None
    head: Head | None = None
    precision: Precision = Precision()
    training: dict[str, Any] = Field(default_factory=dict)
    origin: dict[str, Any] = Field(default_factory=dict)

    _document: dict[str, Any] = PrivateAttr(default_factory=dict)  # the JSON as the author wrote it
    _file: str = PrivateAttr(default="")
