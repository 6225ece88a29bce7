"""Mixers other than softmax attention: linear attention, state spaces, convolutions, hashed and hierarchical forms."""

from typing import Annotated, ClassVar, Literal

from archspec.spec import rules_attention, rules_ops
from archspec.spec.attention import Attention, Gate, InnerNorm, LatentAttention, Projection, QkNorm
from archspec.spec.masks import Causal, Full, Window
from archspec.spec.node import (
    Choice,
    Count,
    Flag,
    Node,
    NonNegative,
    Owner,
    PerHead,
    Positive,
    Real,
    Size,
    Whole,
    formula,
)
from archspec.spec.norms import Activation, Norm
from archspec.spec.positions import Position
from archspec.spec.rule import distinct, kv_heads, norm_groups


class ShortConv(Owner):
    """A causal depthwise convolution on the projected q, k and v."""

    kernel: Size
    bias: Flag = False
    activation: Activation = "identity"
    SHAPE: ClassVar = ("kernel", "bias")


class IdentityMap(Node):
    type: Literal["identity"] = "identity"


class EluPlusOne(Node):
    type: Literal["elu_plus_one"] = "elu_plus_one"


class ReluMap(Node):
    type: Literal["relu"] = "relu"


class SoftmaxMap(Node):
    """Softmax over the features of q and of k."""

    type: Literal["softmax"] = "softmax"


class RandomExp(Owner):
    """Performer's positive random features (arXiv 2009.14794); the projection is stored. `key_max`: exponents of keys
    are taken less their maximum over all tokens, or over those so far, which alone is causal."""

    type: Literal["random_exp"] = "random_exp"
    features: Size
    eps: Positive = 1e-4
    key_max: Literal["sequence", "running"] = "sequence"
    SHAPE: ClassVar = ("features",)


FeatureMap = Annotated[IdentityMap | EluPlusOne | ReluMap | SoftmaxMap | RandomExp, Choice("feature map")]


class NoDecay(Node):
    type: Literal["none"] = "none"


class FixedDecay(Node):
    """`rate` by head, or one for all."""

    type: Literal["fixed"] = "fixed"
    rate: PerHead
    RULES: ClassVar = (rules_ops.decay_rate,)


class GatedDecay(Owner):
    """sigmoid(W h) ** (1/divide), or exp(-exp(a)·softplus(W h + b)); `rank` makes W a product of two."""

    type: Literal["gated"] = "gated"
    per: Literal["head", "channel"] = "head"
    fn: Literal["sigmoid", "exp_softplus"] = "sigmoid"
    divide: Positive = 1
    rank: Size | None = None
    SHAPE: ClassVar = ("per", "fn", "rank")


Decay = Annotated[NoDecay | FixedDecay | GatedDecay, Choice("decay")]


class NotNormalised(Node):
    type: Literal["none"] = "none"


class KeySum(Node):
    """The output is divided by q·(sum of keys) + eps, or with `eps_at` keys by q·(sum of keys + eps)."""

    type: Literal["key_sum"] = "key_sum"
    eps: NonNegative = 1e-6
    eps_at: Literal["product", "keys"] = "product"


Normalise = Annotated[NotNormalised | KeySum, Choice("normalise")]


class LinearAttention(Owner):
    """S ← decay∘S + k vᵀ; o = scale·q S. Retention, gated linear attention, delta rules."""

    type: Literal["linear_attention"] = "linear_attention"
    n_heads: Size
    n_kv_heads: Size = formula("=n_heads")
    d_key: Size = formula("=d_model/n_heads")
    d_value: Size = formula("=d_key")
    bias: tuple[Projection, ...] = ()
    activation: Activation = "identity"
    conv: ShortConv | None = None
    qk_norm: QkNorm | None = None
    feature_map: FeatureMap = IdentityMap()
    position: tuple[Position, ...] = ()
    decay: Decay = NoDecay()
    rule: Literal["add", "delta"] = "add"
    scale: Real = 1
    normalise: Normalise = NotNormalised()
    mask: Annotated[Causal | Full, Choice("causal or full mask")] = Causal()
    inner_norm: InnerNorm | None = None
    gate: Gate | None = None
    SHAPE: ClassVar = ("n_heads", "n_kv_heads", "d_key", "d_value", "bias", "rule")
    RULES: ClassVar = (
        kv_heads,
        distinct("bias"),
        rules_ops.no_scores,
        rules_ops.rope_within("d_key"),
        norm_groups("qk_norm/norm", lambda op: (op.d_key,)),
        norm_groups("inner_norm/norm", rules_attention.inner_widths),
    )


class SelectiveScan(Owner):
    """Mamba, arXiv 2312.00752."""

    type: Literal["selective_scan"] = "selective_scan"
    d_inner: Size = formula("=2*d_model")
    d_state: Size = 16
    d_conv: Size = 4
    dt_rank: Size = formula("=floor((d_model+15)/16)")
    bias: tuple[Literal["in", "conv", "dt", "out"], ...] = ("conv", "dt")
    rank_norm: Norm | None = None
    SHAPE: ClassVar = ("d_inner", "d_state", "d_conv", "dt_rank", "bias")
    RULES: ClassVar = (distinct("bias"), norm_groups("rank_norm", lambda op: (op.dt_rank, op.d_state)))


class Ssd(Owner):
    """Mamba-2, arXiv 2405.21060; its inner width is n_heads·d_head and the gate is applied before `inner_norm`."""

    type: Literal["ssd"] = "ssd"
    n_heads: Size = formula("=2*d_model/d_head")
    d_head: Size = 64
    d_state: Size = 128
    n_groups: Size = 1
    d_conv: Size = 4
    dt_limit: tuple[Real, Real] | None = None
    inner_norm: Norm | None = None
    bias: tuple[Literal["in", "conv", "out"], ...] = ("conv",)
    SHAPE: ClassVar = ("n_heads", "d_head", "d_state", "n_groups", "d_conv", "bias")
    RULES: ClassVar = (distinct("bias"), rules_ops.groups, rules_ops.dt_limit)


class Wkv(Owner):
    """RWKV-4 time mixing, arXiv 2305.13048."""

    type: Literal["wkv"] = "wkv"
    d_inner: Size = formula("=d_model")
    SHAPE: ClassVar = ("d_inner",)


class Modal(Owner):
    """h_t = Re(sum over modes of residue·pole^t), `order` modes, one filter for each of `groups`."""

    type: Literal["modal"] = "modal"
    order: Size
    groups: Size = formula("=d_model")
    SHAPE: ClassVar = ("order", "groups")


Filter = Annotated[Modal, Choice("filter")]


class LongConv(Owner):
    """Hyena with a modal filter: x2·(h * (x1·v)) after a short convolution; x2, x1, v interleave by head. The short
    convolution has a bias; `bias` names the projections that have one too."""

    type: Literal["long_conv"] = "long_conv"
    filter: Filter
    d_conv: Size = 3
    n_heads: Size = 1
    bias: tuple[Literal["in", "out"], ...] = ()
    SHAPE: ClassVar = ("d_conv", "bias")
    RULES: ClassVar = (rules_ops.long_conv,)


class ConvModule(Owner):
    """Conformer's convolution: pointwise with GLU, depthwise, norm, activation, pointwise. `padding`: zeros stand on
    both sides of the sequence, or all of them on the left, so that no row looks ahead."""

    type: Literal["conv_module"] = "conv_module"
    kernel: Size
    padding: Literal["both", "left"] = "both"
    norm: Norm
    activation: Activation = "silu"
    SHAPE: ClassVar = ("kernel",)


class LshAttention(Owner):
    """Reformer, arXiv 2001.04451: shared query and key, sorted by hash buckets."""

    type: Literal["lsh_attention"] = "lsh_attention"
    n_heads: Size
    d_head: Size = formula("=d_model/n_heads")
    chunk: Size
    behind: Count = 1
    ahead: Count = 0
    rounds: Size = 1
    buckets: Size
    seed: Whole = 0
    SHAPE: ClassVar = ("n_heads", "d_head")
    RULES: ClassVar = (rules_ops.lsh,)


class HierarchicalAttention(Owner):
    """H-Transformer-1D, arXiv 2107.11906: near keys one by one, far ones in groups that double from level to level.

    `coarsest`: blocks left at the last level; with 4 the halves of a sequence do not meet, with 2 they do.
    """

    type: Literal["hierarchical_attention"] = "hierarchical_attention"
    n_heads: Size
    d_head: Size = formula("=d_model/n_heads")
    bias: tuple[Projection, ...] = ()
    block: Size
    coarsest: Size = 4
    position: tuple[Position, ...] = ()
    mask: Annotated[Causal | Full, Choice("causal or full mask")] = Full()
    SHAPE: ClassVar = ("n_heads", "d_head", "bias")
    RULES: ClassVar = (distinct("bias"), rules_ops.no_scores, rules_ops.rope_within("d_head"), rules_ops.hierarchical)


class Compress(Node):
    """Blocks of keys become one key each, every `stride` keys: a learned row is added for each place in the block, then
    a network of width `hidden` with biases joins them. `learned_keys` are seen by every query beside them."""

    block: Size
    stride: Size = formula("=block")
    hidden: Size = formula("=block*d_head")
    activation: Activation = "relu"
    learned_keys: Count = 0


class Select(Node):
    """The `count` best blocks, chosen for each head or once for each key/value group, by the mean score of the
    compressed keys that end in them; the own block is seen too."""

    block: Size
    count: Size
    share: Literal["head", "kv_group"] = "head"


class CompressSelectAttention(Owner):
    """Native sparse attention, arXiv 2502.11089: compressed, selected and windowed keys; causal.

    Each of the three has a `gate` of its own; `position` acts on the selected and on the windowed keys.
    """

    type: Literal["compress_select_attention"] = "compress_select_attention"
    n_heads: Size
    n_kv_heads: Size = formula("=n_heads")
    d_head: Size = formula("=d_model/n_heads")
    compress: Compress
    select: Select
    window: Annotated[Window, Choice("window")]
    gate: Gate
    position: tuple[Position, ...] = ()
    SHAPE: ClassVar = ("n_heads", "n_kv_heads", "d_head", "compress", "gate")
    RULES: ClassVar = (kv_heads, rules_ops.no_scores, rules_ops.rope_within("d_head"), rules_ops.compress_select)


# Every op that mixes positions; `Op` of a branch is one of these or acts on each position alone.
Mixer = (
    Attention
    | LatentAttention
    | LinearAttention
    | SelectiveScan
    | Ssd
    | Wkv
    | LongConv
    | ConvModule
    | LshAttention
    | HierarchicalAttention
    | CompressSelectAttention
)
