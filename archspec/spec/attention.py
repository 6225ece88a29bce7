"""Softmax attention: the general form, extra keys, and the latent form."""

from typing import Annotated, ClassVar, Literal

from archspec.spec import rules_attention, rules_ops
from archspec.spec.masks import Causal, Full, Mask, Rows
from archspec.spec.node import Choice, Count, Flag, Identifier, Name, Node, Owner, Positive, Real, Size, formula
from archspec.spec.norms import Activation, Norm
from archspec.spec.positions import Position
from archspec.spec.rule import distinct, kv_heads, norm_groups

Projection = Literal["q", "k", "v", "o"]


class LearnedGate(Owner):
    """A learned factor fn(g), one number or one for each channel."""

    type: Literal["learned"] = "learned"
    fn: Activation = "identity"
    of: Literal["scalar", "channel"] = "scalar"
    SHAPE: ClassVar = ("of",)


class ProjectedGate(Owner):
    """fn(W h), for each channel or each head; with `rank` W is a product of two; with `bias` W h + b."""

    type: Literal["projected"] = "projected"
    fn: Activation = "sigmoid"
    of: Literal["channel", "head"] = "channel"
    rank: Size | None = None
    bias: Flag = False
    SHAPE: ClassVar = ("of", "rank", "bias")


Gate = Annotated[LearnedGate | ProjectedGate, Choice("gate")]


class QkNorm(Node):
    """A norm on q and k: one gain shared by heads (`head`), one gain for each head (`heads`), or over the width."""

    norm: Norm
    scope: Literal["head", "heads", "width"] = "head"
    at: Literal["before_position", "after_position"] = "before_position"


class InnerNorm(Node):
    """A norm on the joined heads, before the gate and the out projection."""

    norm: Norm
    scope: Literal["head", "width"] = "width"


class LengthProjection(Owner):
    """Linformer: `length` keys become `rank`; `shared` uses one map for keys and values."""

    type: Literal["length_projection"] = "length_projection"
    length: Size
    rank: Size
    shared: Flag = False
    SHAPE: ClassVar = ("length", "rank", "shared")


KeyMap = Annotated[LengthProjection, Choice("key map")]


class OwnProjections(Owner):
    """Rows with projections of their own."""

    rows: Rows
    of: tuple[Projection, ...] = ("q", "k", "v")
    SHAPE: ClassVar = ("of",)
    RULES: ClassVar = (distinct("of"),)


class StreamKeys(Node):
    """Keys from another stream or stack, beside the own ones."""

    type: Literal["stream"] = "stream"
    name: Name
    norm: Norm | None = None
    mask: Mask = Full()


class LearnedKeys(Owner):
    type: Literal["learned"] = "learned"
    count: Size
    SHAPE: ClassVar = ("count",)


class Sink(Owner):
    """A learned score for each head that takes part in the softmax and carries no value."""

    type: Literal["sink"] = "sink"


class ExternalKeys(Node):
    """Keys and values given at run time."""

    type: Literal["external"] = "external"
    name: Identifier
    position: Literal["zero", "own"] = "zero"


class ZeroKeys(Node):
    """`count` rows before the first token, whose keys and values are zero and which positions and the mask count as
    tokens: a memory that begins with zeros."""

    type: Literal["zeros"] = "zeros"
    count: Size


class CompressedPast(Owner):
    """Compressive transformer: positions that left the last `after` are compressed `rate` to one into `slots`.

    The mask must be causal within segments of `segment` with a memory of `after`. Distances count a slot as one
    position; `align` "oldest": while memory still fills, as if what is missing lay between.
    """

    type: Literal["compressed_past"] = "compressed_past"
    segment: Size
    after: Size
    slots: Size
    rate: Size
    map: Literal["conv", "mean", "max"] = "conv"
    align: Literal["query", "oldest"] = "query"
    SHAPE: ClassVar = ("rate", "map")


ExtraKeys = Annotated[StreamKeys | LearnedKeys | Sink | ExternalKeys | ZeroKeys | CompressedPast, Choice("extra keys")]


class Attention(Owner):
    type: Literal["attention"] = "attention"
    n_heads: Size
    n_kv_heads: Size = formula("=n_heads")
    d_head: Size = formula("=d_model/n_heads")
    d_value: Size = formula("=d_head")
    bias: tuple[Projection, ...] = ()
    source: Name = "self"
    mask: Mask = Full()
    position: tuple[Position, ...] = ()
    scale: Real = formula("=1/sqrt(d_head)")
    softcap: Positive | None = None
    qk_norm: QkNorm | None = None
    extra_keys: tuple[ExtraKeys, ...] = ()
    key_map: KeyMap | None = None
    own_projections: OwnProjections | None = None
    inner_norm: InnerNorm | None = None
    gate: Gate | None = None
    axis: Count = 0
    empty_rows: Literal["zeros", "all"] = "zeros"
    SHAPE: ClassVar = ("n_heads", "n_kv_heads", "d_head", "d_value", "bias")
    RULES: ClassVar = (
        kv_heads,
        distinct("bias"),
        rules_ops.rope_within("d_head"),
        rules_ops.by_head,
        rules_ops.alibi,
        rules_ops.compressed_past,
        rules_attention.memory,
        rules_attention.own_blocks,
        norm_groups("qk_norm/norm", rules_attention.qk_widths),
        norm_groups("inner_norm/norm", rules_attention.inner_widths),
    )


class LatentAttention(Owner):
    """Multi-head latent attention, arXiv 2405.04434. Decoders use it, so its mask is causal unless said otherwise."""

    type: Literal["latent_attention"] = "latent_attention"
    n_heads: Size
    q_rank: Size | None = None
    kv_rank: Size
    d_nope: Size
    d_rope: Size
    d_value: Size
    rank_norm: Norm | None = None
    bias: tuple[Projection, ...] = ()
    mask: Mask = Causal()
    position: tuple[Position, ...] = ()
    scale: Real = formula("=1/sqrt(d_nope+d_rope)")
    SHAPE: ClassVar = ("n_heads", "q_rank", "kv_rank", "d_nope", "d_rope", "d_value", "bias")
    RULES: ClassVar = (
        distinct("bias"),
        rules_ops.rope_within("d_rope"),
        rules_ops.by_head,
        norm_groups("rank_norm", lambda op: (op.q_rank, op.kv_rank)),
    )
