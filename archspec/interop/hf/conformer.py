"""What wav2vec2-conformer and wav2vec2-bert have in common: half an MLP, attention, a convolution, half an MLP.

Structure and names follow transformers 5.23 `models/wav2vec2_conformer/modeling_wav2vec2_conformer.py`
Wav2Vec2ConformerEncoderLayer and `models/wav2vec2_bert/modeling_wav2vec2_bert.py`. Distances are sinusoids with a
projection and two vectors ("relative"), a clipped table that keys are scored with ("relative_key"), or nothing.
"""

from dataclasses import dataclass
from typing import Any

from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import all_of, expect, spelling
from archspec.interop.recipe import Recipe, Reshape, Stored
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import (
    Attention,
    Branch,
    Clip,
    ConvModule,
    LayerNorm,
    LinearLogits,
    Mlp,
    RelativeVectors,
    TableVectors,
)

STACK = "encoder"
BOTH = ("weight", "bias")


@dataclass(frozen=True)
class Conformer:
    """`eps` of the layers' norms; `batch_norm`: in the convolution, in place of one over channels. `looks_back`: its
    zeros stand on the left. `reach`: of the table of distances, to the left and to the right."""

    vocab_size: int | None
    max_length: int
    d_model: int
    d_ff: int
    n_layers: int
    n_heads: int
    eps: float
    activation: str
    kernel: int
    batch_norm: bool
    looks_back: bool
    distances: str | None
    reach: tuple[int, int]


def read(config: Config, *, d_model: int, n_layers: int, n_heads: int, d_ff: int, head: HeadKind, **own: Any) -> Any:
    """The common fields; the first arguments are what the family has where a field is absent."""
    config.fixed("add_adapter", False)
    d_model, n_heads = config.integer("hidden_size", d_model), config.integer("num_attention_heads", n_heads)
    if d_model % n_heads:
        raise config.fail("hidden_size", f"{d_model} is not a multiple of num_attention_heads = {n_heads}")
    vocab_size = None if config.get("vocab_size") is None else config.integer("vocab_size")
    if head == "tokens" and vocab_size is None:
        raise config.fail("vocab_size", "a head over words needs the size of the vocabulary")
    kernel = config.integer("conv_depthwise_kernel_size", 31)
    if kernel % 2 == 0:
        raise config.fail("conv_depthwise_kernel_size", f"{kernel} is even; the convolution wants an odd one")
    return Conformer(
        vocab_size=vocab_size,
        max_length=config.integer("max_source_positions", 5000),
        d_model=d_model,
        d_ff=config.integer("intermediate_size", d_ff),
        n_layers=config.layers("num_hidden_layers", n_layers),
        n_heads=n_heads,
        kernel=kernel,
        **own,
    )


def distances(config: Config, default: str, known: tuple[str, ...]) -> str | None:
    kind = None if config.is_null("position_embeddings_type") else config.get("position_embeddings_type", default)
    if kind is not None and kind not in known:
        raise config.fail("position_embeddings_type", f"found {kind!r}, understood are {', '.join(known)} and null")
    return None if kind is None else str(kind)


def activation(config: Config, default: str) -> str:
    return config.word("hidden_act", default, ACTIVATIONS)


def spec(m: Conformer, entrance: dict[str, Any], final_norm: dict[str, Any] | None, head: HeadKind) -> dict[str, Any]:
    """`entrance`: the part that makes rows of sound."""
    norm = {"type": "layer", "eps": m.eps}
    mlp = {"type": "mlp", "d_ff": m.d_ff, "activation": m.activation, "bias": ["up", "down"]}
    half = {"pre_norm": norm, "op": mlp, "residual": {"type": "add", "scale": 0.5}}
    attention: dict[str, Any] = {"type": "attention", "n_heads": m.n_heads, "bias": ["q", "k", "v", "o"]}
    if m.distances == "relative":
        terms = {"terms": ["q_r", "u_k", "v_r"], "projection": "own"}
        vectors: dict[str, Any] = {"type": "sinusoid", "layout": "interleaved"}
        attention["position"] = [{"type": "relative_vectors", "vectors": vectors, **terms}]
    elif m.distances == "relative_key":
        vectors = {"type": "table", "distance": {"type": "clip", "left": m.reach[0], "right": m.reach[1]}}
        attention["position"] = [{"type": "relative_vectors", "vectors": vectors}]
    conv = {"type": "conv_module", "kernel": m.kernel, "norm": "batch" if m.batch_norm else norm}
    conv |= {"activation": m.activation} | ({"padding": "left"} if m.looks_back else {})
    block = [
        {"name": "ffn1", **half},
        {"pre_norm": norm, "op": attention},
        {"pre_norm": norm, "op": conv},
        {"name": "ffn2", **half, "sum_norm": norm},
    ]
    out: dict[str, Any] = {
        **({} if m.vocab_size is None else {"vocab_size": m.vocab_size}),
        "max_length": m.max_length,
        "stacks": {
            STACK: {
                "d_model": m.d_model,
                "input": {"sum": [entrance]},
                "blocks": {"main": block},
                "layers": entries(["main"] * m.n_layers),
                **({"final_norm": final_norm} if final_norm else {}),
            }
        },
    }
    return out | ({"head": {"logits": {"type": "linear", "bias": True}}} if head == "tokens" else {})


def tensors(m: Conformer, prefix: str, entrance: dict[str, Recipe], head: HeadKind) -> TensorMap:
    """`prefix` is the model's attribute in its head classes; names in `entrance` begin with it."""
    ours, layer, d = f"{STACK}.{{}}", f"{prefix}encoder.layers.{{}}", m.d_model
    norm = "batch_norm" if m.batch_norm else "depthwise_layer_norm"
    parts = {
        "attention.pre_norm": "self_attn_layer_norm",
        "conv_module.pre_norm": "conv_module.layer_norm",
        "conv_module.norm": f"conv_module.{norm}",
        "ffn2.sum_norm": "final_layer_norm",
        "attention.o": "self_attn.linear_out",
        **{f"attention.{part}": f"self_attn.linear_{part}" for part in "qkv"},
    }
    for ffn in ("ffn1", "ffn2"):
        parts |= {f"{ffn}.pre_norm": f"{ffn}_layer_norm", f"{ffn}.up": f"{ffn}.intermediate_dense"}
        parts[f"{ffn}.down"] = f"{ffn}.output_dense"
    templates: dict[str, Recipe] = {
        f"{ours}.{path}.{role}": Stored(f"{layer}.{name}.{role}") for path, name in parts.items() for role in BOTH
    }
    convolutions = {"up": ("pointwise_conv1", (2 * d, d)), "down": ("pointwise_conv2", (d, d))}
    convolutions["conv"] = ("depthwise_conv", (d, m.kernel))
    for part, (name, shape) in convolutions.items():
        stored = Stored(f"{layer}.conv_module.{name}.weight")  # with one axis of size one more
        templates[f"{ours}.conv_module.{part}.weight"] = Reshape(stored, shape)
    if m.batch_norm:
        for role, name in {"mean": "running_mean", "variance": "running_var"}.items():
            templates[f"{ours}.conv_module.norm.{role}"] = Stored(f"{layer}.conv_module.batch_norm.{name}")
    vectors = f"{ours}.attention.relative_vectors"
    if m.distances == "relative":
        templates[f"{vectors}.r.weight"] = Stored(f"{layer}.self_attn.linear_pos.weight")
        for part in "uv":
            templates[f"{vectors}.{part}.weight"] = Stored(f"{layer}.self_attn.pos_bias_{part}")
    elif m.distances == "relative_key":
        templates[f"{vectors}.table.weight"] = Stored(f"{layer}.self_attn.distance_embedding.weight")
    recipes = {**entrance, **per_layer(m.n_layers, templates)}
    if head == "tokens":
        recipes |= {f"head.logits.{role}": Stored(f"lm_head.{role}") for role in BOTH}
    # Masks and quantisers are for training, positions by convolution for another kind of distances.
    unread = [f"{prefix}masked_spec_embed", f"{prefix}encoder.pos_conv_embed.*", "quantizer.*", "project_*",
              f"{prefix}encoder.layers.*.conv_module.batch_norm.num_batches_tracked"]  # fmt: skip
    return TensorMap(recipes, prefix=prefix, unread=(*unread, *(() if head == "tokens" else ("lm_head.*",))))


def fields(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    if not stack.layers or len(stack.bodies) != 1 or len(stack.bodies[0]) != 4 or resolved.max_length is None:
        raise CannotSay("equal layers of two MLPs, attention and a convolution, and a maximum length")
    attention, mlp = all_of(resolved, Attention)[0], all_of(resolved, Mlp)[0]
    conv = all_of(resolved, ConvModule)[0]
    kind, reach = None, None
    if attention.position:
        relative = expect(RelativeVectors, attention.position[0], "the position")
        kind = "relative_key" if isinstance(relative.vectors, TableVectors) else "relative"
        if isinstance(relative.vectors, TableVectors):
            reach = expect(Clip, relative.vectors.distance, "the distance")
    out: dict[str, Any] = {
        "max_source_positions": resolved.max_length,
        "hidden_size": stack.d_model,
        "intermediate_size": mlp.d_ff,
        "num_hidden_layers": len(stack.layers),
        "num_attention_heads": attention.n_heads,
        "hidden_act": spelling(mlp.activation),
        "conv_depthwise_kernel_size": conv.kernel,
        "position_embeddings_type": kind,
    }
    if resolved.vocab_size is not None:
        out["vocab_size"] = resolved.vocab_size
    if resolved.head is not None:
        expect(LinearLogits, resolved.head.logits, "the head")
    if reach is not None:
        out |= {"left_max_position_embeddings": reach.left, "right_max_position_embeddings": reach.right}
    return out


def eps_of(resolved: Resolved) -> float:
    first = expect(Branch, resolved.stacks[resolved.output].bodies[0][0], "a step")
    return expect(LayerNorm, first.pre_norm, "the first norm").eps


INERT = frozenset({
    "activation_dropout", "feat_extract_dropout", "do_stable_layer_norm",
    "feat_proj_dropout", "feat_quantizer_dropout", "final_dropout", "layerdrop",
    "conformer_conv_dropout", "apply_spec_augment", "mask_time_prob", "mask_time_length", "mask_time_min_masks",
    "mask_feature_prob", "mask_feature_length", "mask_feature_min_masks", "num_codevectors_per_group",
    "num_codevector_groups", "contrastive_logits_temperature", "num_negatives", "codevector_dim",
    "proj_codevector_dim", "diversity_loss_weight", "ctc_loss_reduction", "ctc_zero_infinity",
    "use_weighted_layer_sum", "classifier_proj_size", "tdnn_dim", "tdnn_kernel", "tdnn_dilation",
    "xvector_output_dim", "adapter_kernel_size", "adapter_stride", "num_adapter_layers", "output_hidden_size",
    "adapter_act", "use_intermediate_ffn_before_adapter", "num_conv_pos_embeddings",
    "num_conv_pos_embedding_groups", "rotary_embedding_base",
})  # fmt: skip
