"""DeepSeek's decoders: latent attention, some dense layers and then experts, some of which every token uses.

Structure and tensor names follow transformers 5.23 `models/deepseek_v3/modeling_deepseek_v3.py` and `deepseek_v2`; the
norms of the two latents keep the norm's own default, whatever `rms_norm_eps` says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import log, sqrt
from typing import Any

from archspec.interop.hf import rms_decoder, rms_tensors
from archspec.interop.hf.config import Config
from archspec.interop.hf.experts import Experts, gated, measure, moe, only, stacked
from archspec.interop.hf.family import CannotSay, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import expect, is_tied, operator
from archspec.interop.hf.rms_decoder import STACK, Decoder
from archspec.interop.hf.rope import write_rope
from archspec.interop.recipe import Recipe, Stored
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.types import Branch, GatedMlp, LatentAttention, Moe, RmsNorm, Rope

RANK_EPS = 1e-6
PROJECTIONS = {
    "kv_down": "kv_a_proj_with_mqa",
    "kv_norm": "kv_a_layernorm",
    "kv_up": "kv_b_proj",
    "o": "o_proj",
}
QUERY = {"q_down": "q_a_proj", "q_norm": "q_a_layernorm", "q": "q_b_proj"}
WHOLE_QUERY = {"q": "q_proj"}  # without a latent


@dataclass(frozen=True)
class LatentDecoder:
    """`decoder` has the sizes that other decoders share; its heads are those of the latent attention.

    scale: what multiplies the scores; None: 1/sqrt(d_nope + d_rope). dense: how many layers come before the experts.
    """

    decoder: Decoder
    q_rank: int | None
    kv_rank: int
    d_nope: int
    d_rope: int
    d_value: int
    interleaved: bool
    scale: float | None
    experts: Experts
    dense: int


def read(
    config: Config, defaults: rms_decoder.Defaults, experts: Experts, *, dense: int, interleaved: bool
) -> LatentDecoder:
    config.fixed("attention_bias", False)
    config.fixed("mlp_bias", False)
    config.fixed("moe_layer_freq", 1)
    decoder = rms_decoder.read(config, defaults)
    if decoder.n_kv_heads != decoder.n_heads:
        raise config.fail("num_key_value_heads", f"{decoder.n_kv_heads}: every head has its own keys and values here")
    q_rank = None if config.is_null("q_lora_rank") else config.integer("q_lora_rank", 1536)
    d_nope, d_rope = config.integer("qk_nope_head_dim", 128), config.integer("qk_rope_head_dim", 64)
    return LatentDecoder(
        decoder=decoder,
        q_rank=q_rank,
        kv_rank=config.integer("kv_lora_rank", 512),
        d_nope=d_nope,
        d_rope=d_rope,
        d_value=config.integer("v_head_dim", 128),
        interleaved=interleaved,
        scale=_scale(config, d_nope + d_rope),
        experts=replace(experts, activation=decoder.activation),
        dense=min(config.integer("first_k_dense_replace", dense, least=0), len(decoder.windows)),
    )


def _scale(config: Config, d_head: int) -> float | None:
    """YaRN's second gain, squared, is part of the scale (`yarn_apply_mscale`)."""
    rope = config.group("rope_scaling") or config.group("rope_parameters")
    if rope is None or (rope.get("rope_type") or rope.get("type") or "default") == "default":
        return None
    weight = rope.number("mscale_all_dim", 0)
    factor = rope.number("factor", 1)
    if not weight or factor <= 1:
        return None
    gain = 0.1 * weight * log(factor) + 1
    return gain * gain / sqrt(d_head)


def spec(m: LatentDecoder, head: HeadKind) -> dict[str, Any]:
    out = rms_decoder.spec(m.decoder, head)
    stack = out["stacks"][STACK]
    attention, mlp = stack["blocks"]["main"]
    position = {**m.decoder.rope, "dims": m.d_rope} | ({"pairing": "interleaved"} if m.interleaved else {})
    op: dict[str, Any] = {"type": "latent_attention", "n_heads": m.decoder.n_heads}
    if m.q_rank:
        op["q_rank"] = m.q_rank
    op |= {"kv_rank": m.kv_rank, "d_nope": m.d_nope, "d_rope": m.d_rope, "d_value": m.d_value}
    op |= {"rank_norm": {"type": "rms", "eps": RANK_EPS}, "mask": "causal", "position": [position]}
    if m.scale is not None:
        op["scale"] = m.scale
    layers = ["sparse" if i >= m.dense else "dense" for i in range(len(m.decoder.windows))]
    first = {**attention, "op": op}
    sparse = {**mlp, "op": moe(m.experts)}
    if "dense" not in layers:
        stack["blocks"] = {"sparse": [first, sparse]}
    else:
        stack["blocks"] = {"dense": [first, mlp]}
        if "sparse" in layers:
            stack["blocks"]["sparse"] = {"like": "dense", "set": {"/1/op": sparse["op"]}}
    stack["layers"] = entries(layers)
    return out


def tensors(m: LatentDecoder, head: HeadKind, predicting: int = 0) -> TensorMap:
    """`predicting`: layers after the last that predict tokens further ahead; the forward does not read them."""
    plain = rms_tensors.tensors(m.decoder, head)
    n_layers = len(m.decoder.windows)
    recipes: dict[str, Recipe] = {}
    for path, recipe in plain.recipes.items():
        if ".attention." not in path and ".gated_mlp." not in path:
            recipes[path] = recipe
    for layer in range(n_layers):
        theirs = f"model.layers.{layer}"
        ours = f"{STACK}.{layer}.latent_attention"
        recipes[f"{ours}.pre_norm.weight"] = Stored(f"{theirs}.input_layernorm.weight")
        recipes |= gated(ours, f"{theirs}.self_attn", PROJECTIONS | (QUERY if m.q_rank else WHOLE_QUERY))
        ours = f"{STACK}.{layer}.{'moe' if layer >= m.dense else 'gated_mlp'}"
        recipes[f"{ours}.pre_norm.weight"] = Stored(f"{theirs}.post_attention_layernorm.weight")
        if layer < m.dense:
            recipes |= gated(ours, f"{theirs}.mlp")
            continue
        recipes[f"{ours}.router.weight"] = Stored(f"{theirs}.mlp.gate.weight")
        if m.experts.select_bias:
            recipes[f"{ours}.router.select_bias"] = Stored(f"{theirs}.mlp.gate.e_score_correction_bias")
        recipes |= stacked(f"{ours}.experts", f"{theirs}.mlp.experts", m.experts.count)
        recipes |= gated(f"{ours}.shared", f"{theirs}.mlp.shared_experts")
    ahead = tuple(f"model.layers.{n_layers + i}.*" for i in range(predicting))
    return TensorMap(recipes, plain.prefix, (*plain.unread, *ahead), plain.copies)


def measured(resolved: Resolved) -> LatentDecoder:
    """The numbers of a resolved spec; CannotSay where it is of another kind."""
    stack = resolved.stacks[resolved.output]
    bodies = [stack.bodies[layer.body] for layer in stack.layers]
    if not bodies or any(len(body) != 2 for body in bodies):
        raise CannotSay("a layer is one latent attention and one feed-forward part")
    op = operator(bodies[0][0], LatentAttention)
    feeds = [expect(Branch, body[1], "a step").op for body in bodies]
    experts: Experts = only({measure(feed) for feed in feeds if isinstance(feed, Moe)}, "mixture of experts")
    dense = [expect(GatedMlp, feed, "the operator") for feed in feeds if not isinstance(feed, Moe)]
    if len(op.position) != 1 or resolved.vocab_size is None or resolved.max_length is None or not experts.shared:
        raise CannotSay("there are rotary positions, a vocabulary, a maximum length and a shared expert")
    rope = expect(Rope, op.position[0], "the position")
    decoder = Decoder(
        vocab_size=resolved.vocab_size,
        max_length=resolved.max_length,
        d_model=stack.d_model,
        d_ff=dense[0].d_ff if dense else experts.d_ff,
        n_heads=op.n_heads,
        n_kv_heads=op.n_heads,
        d_head=op.d_rope,
        eps=expect(RmsNorm, stack.final_norm, "the final norm").eps,
        activation=experts.activation,
        rope=_rope_fields(rope, op),
        tied=is_tied(resolved),
        windows=(None,) * len(bodies),
    )
    return LatentDecoder(
        decoder, op.q_rank, op.kv_rank, op.d_nope, op.d_rope, op.d_value, rope.pairing == "interleaved", op.scale,
        experts, len(dense),
    )  # fmt: skip


def _rope_fields(rope: Rope, op: LatentAttention) -> Mapping[str, Any]:
    fields = write_rope(rope, rope.dims)
    gain = sqrt(op.scale * sqrt(op.d_nope + op.d_rope))
    if fields.get("factor", 1) > 1 and abs(gain - 1) > 1e-9:
        fields["mscale_all_dim"] = round((gain - 1) / (0.1 * log(fields["factor"])), 12)
    return fields


def fields(m: LatentDecoder) -> dict[str, Any]:
    """The fields that DeepSeek's families share; a shared expert of several widths is that many of one."""
    experts = m.experts
    if (experts.shared or 0) % experts.d_ff:
        raise CannotSay("the shared expert is some whole number of experts wide")
    out = rms_decoder.fields(m.decoder)
    del out["head_dim"]
    count, keep = experts.groups[:2] if experts.groups else (1, 1)
    return out | {
        "q_lora_rank": m.q_rank,
        "kv_lora_rank": m.kv_rank,
        "qk_nope_head_dim": m.d_nope,
        "qk_rope_head_dim": m.d_rope,
        "v_head_dim": m.d_value,
        "first_k_dense_replace": m.dense,
        "n_routed_experts": experts.count,
        "n_shared_experts": (experts.shared or 0) // experts.d_ff,
        "num_experts_per_tok": experts.top_k,
        "moe_intermediate_size": experts.d_ff,
        "n_group": count,
        "topk_group": keep,
        "norm_topk_prob": experts.normalised,
        "routed_scaling_factor": float(experts.scale),
    }


def read_groups(config: Config, count: int, groups: int | None, keep: int | None, score: str) -> Any:
    """The groups of `count` experts; None where every group takes part."""
    keep = config.integer("topk_group", keep, null=keep is None)
    groups = config.integer("n_group", groups, null=groups is None)
    if count % groups or keep > groups:
        raise config.fail("n_group", f"{groups} groups of {count} experts, {keep} of which take part")
    return None if keep == groups else (groups, keep, score)
