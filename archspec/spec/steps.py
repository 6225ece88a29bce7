"""A layer is a list of steps: branches, parallel branches, and changes of length."""

from typing import Annotated, ClassVar, Literal

from archspec.spec import rules
from archspec.spec.attention import Gate
from archspec.spec.masks import Rows
from archspec.spec.mixers import Mixer
from archspec.spec.mlp import GatedMlp, Identity, LinearOp, Mlp, Moe, ShiftedMlp
from archspec.spec.node import Choice, Flag, Name, Node, Owner, Real, Size
from archspec.spec.norms import Norm


class ConcatRead(Node):
    """Streams joined along the width."""

    concat: tuple[Name, ...]
    KEY: ClassVar = "concat"


class SumRead(Node):
    sum: tuple[Name, ...]
    KEY: ClassVar = "sum"


class FirstPresentRead(Node):
    """The first of these streams that exists in this call."""

    first_present: tuple[Name, ...]
    KEY: ClassVar = "first_present"


Read = Annotated[Name | ConcatRead | SumRead | FirstPresentRead, Choice("read", by="key", bare="")]


class Add(Node):
    """keep·r + scale·y, where r is the written stream or the output of pre_norm."""

    type: Literal["add"] = "add"
    keep: Real = 1
    scale: Real = 1
    of: Literal["stream", "pre_norm"] = "stream"


class Gru(Owner):
    """A gated recurrent unit joins r and y (arXiv 1910.06764)."""

    type: Literal["gru"] = "gru"


class Replace(Node):
    type: Literal["replace"] = "replace"


Residual = Annotated[Add | Gru | Replace, Choice("residual")]

Op = Annotated[
    Mixer | Mlp | GatedMlp | ShiftedMlp | Moe | LinearOp | Identity,
    Choice("op"),
]


class Branch(Node):
    """write ← sum_norm(residual(gate·out_norm(op(pre_norm(read)))))"""

    name: Name | None = None
    read: Read = "x"
    write: Name = "x"
    rows: Rows | None = None
    pre_norm: Norm | None = None
    op: Op
    out_norm: Norm | None = None
    gate: Gate | None = None
    residual: Residual = Add()
    sum_norm: Norm | None = None
    KEY: ClassVar = "op"
    RULES: ClassVar = (rules.branch,)


class Parallel(Node):
    """Branches that all read the values from before the step; writes are applied in the order written."""

    parallel: tuple[Branch, ...]
    pre_norm: Norm | None = None
    KEY: ClassVar = "parallel"
    RULES: ClassVar = (rules.parallel,)


class MeanPool(Node):
    """One row for every `stride` of them, their mean; ceil(rows / stride) are left. `keep_first`: the first row is a
    group of its own, and what no longer fits is dropped at the end (arXiv 2006.03236)."""

    type: Literal["mean_pool"] = "mean_pool"
    stride: Size
    keep_first: Flag = False


class RepeatRows(Node):
    """Takes back the last poolings, whose strides make up `factor`: each row so many times, cut or filled with zeros
    to as many rows as there were. `keep_first`: the first row stands once."""

    type: Literal["repeat"] = "repeat"
    factor: Size
    keep_first: Flag = False


class Resample(Node):
    resample: Annotated[MeanPool | RepeatRows, Choice("resample")]
    read: Name = "x"
    write: Name = "x"
    KEY: ClassVar = "resample"


Step = Annotated[Branch | Parallel | Resample, Choice("step", by="key")]
Body = tuple[Step, ...]
