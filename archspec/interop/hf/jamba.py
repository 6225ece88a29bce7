"""Jamba: Mamba mixers with attention (no positions) in some layers, and experts in some.

Defaults: transformers 5.23 `models/jamba/configuration_jamba.py` JambaConfig. Dense layers and experts have one width.
"""

from math import ceil
from typing import Any

from archspec.interop.hf import mamba, state_space, vocabulary
from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.experts import Experts, gated, moe, read_count, read_top_k, stacked
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import expect, is_tied, spelling
from archspec.interop.recipe import Recipe, Stored
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.types import Attention, Branch, GatedMlp, Moe, RmsNorm, SelectiveScan

STACK = "decoder"
NAMES = mamba.NAMES | {f"{part}_norm.weight": f"{part}_layernorm.weight" for part in ("dt", "b", "c")}


def _every(config: Config, name: str, period: int, offset: int) -> tuple[int, int]:
    period = config.integer(f"{name}_layer_period", period)
    offset = config.integer(f"{name}_layer_offset", offset, least=0)
    if offset >= period:
        raise config.fail(f"{name}_layer_offset", f"{offset} must be smaller than {name}_layer_period = {period}")
    return period, offset


def _kinds(config: Config) -> list[tuple[bool, bool]]:
    """For each layer: attention instead of a Mamba mixer, experts instead of one MLP."""
    attention, experts = _every(config, "attn", 8, 4), _every(config, "expert", 2, 1)
    several = read_count(config, "num_experts", 16, other="num_local_experts") > 1
    return [
        (i % attention[0] == attention[1], several and i % experts[0] == experts[1])
        for i in range(config.layers("num_hidden_layers", 32))
    ]


def _biases(config: Config) -> list[str]:
    outer = ["in", "out"] if config.flag("mamba_proj_bias", False) else []
    return [*outer, *(["conv"] if config.flag("mamba_conv_bias", True) else []), "dt"]


def _experts(config: Config) -> Experts:
    count = read_count(config, "num_experts", 16, other="num_local_experts")
    d_ff = config.integer("intermediate_size", 14336)
    activation = config.word("hidden_act", "silu", ACTIVATIONS)
    top_k = read_top_k(config, count, 2) if count > 1 else config.integer("num_experts_per_tok", 2)
    return Experts(count, d_ff, top_k, activation, normalised=False)


def _mixers(config: Config, d_model: int, norm: dict[str, Any]) -> dict[bool, dict[str, Any]]:
    rank = config.get("mamba_dt_rank", "auto")
    scan = {
        "type": "selective_scan",
        "d_inner": config.integer("mamba_expand", 2) * d_model,
        "d_state": config.integer("mamba_d_state", 16),
        "d_conv": config.integer("mamba_d_conv", 4),
        "dt_rank": ceil(d_model / 16) if rank == "auto" else config.integer("mamba_dt_rank"),
        "rank_norm": norm,
        "bias": _biases(config),
    }
    n_heads = config.integer("num_attention_heads", 32)
    absent = n_heads if config.is_null("num_key_value_heads") else 8
    n_kv_heads = config.integer("num_key_value_heads", absent, null=True)
    if d_model % n_heads or n_heads % n_kv_heads:
        raise config.fail("num_attention_heads", f"{n_heads} heads of {d_model}, {n_kv_heads} for keys and values")
    return {False: scan, True: {"type": "attention", "n_heads": n_heads, "n_kv_heads": n_kv_heads, "mask": "causal"}}


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    config.fixed("hidden_act", "silu", "swish")  # the mixer's own, too
    config.fixed("sliding_window", None)
    d_model = config.integer("hidden_size", 4096)
    norm = {"type": "rms", "eps": config.number("rms_norm_eps", 1e-6)}
    mixers, experts, kinds = _mixers(config, d_model, norm), _experts(config), _kinds(config)
    mlp = {"type": "gated_mlp", "d_ff": experts.d_ff, "activation": experts.activation}
    names = {kind: ("attention" if kind[0] else "scan") + ("_moe" if kind[1] else "") for kind in kinds}
    blocks = {
        name: [
            {"pre_norm": norm, "op": mixers[attends]},
            {"pre_norm": norm, "op": moe(experts) if sparse else mlp},
        ]
        for (attends, sparse), name in names.items()
    }
    tied = config.flag("tie_word_embeddings", False)
    shared = vocabulary.shared(tied, head)
    out: dict[str, Any] = {
        "vocab_size": config.integer("vocab_size", 65536),
        "max_length": config.integer("max_position_embeddings", 262144),
        "stacks": {
            STACK: {
                "d_model": d_model,
                "input": {"sum": [{"type": "tokens", **shared}] if shared else ["tokens"]},
                "blocks": blocks,
                "layers": entries([names[kind] for kind in kinds]),
                "final_norm": norm,
            }
        },
    }
    return out | (
        {"head": {"logits": {"type": "linear", **shared} if shared else "linear"}} if head == "tokens" else {}
    )


def tensors(config: Config, head: HeadKind) -> TensorMap:
    experts, bias = _experts(config), _biases(config)
    recipes: dict[str, Recipe] = {}
    for layer, (attends, sparse) in enumerate(_kinds(config)):
        theirs = f"model.layers.{layer}"
        ours = f"{STACK}.{layer}.{'attention' if attends else 'selective_scan'}"
        recipes[f"{ours}.pre_norm.weight"] = Stored(f"{theirs}.input_layernorm.weight")
        if attends:
            recipes |= gated(ours, f"{theirs}.self_attn", {part: f"{part}_proj" for part in "qkvo"})
        else:
            recipes |= state_space.mixer(ours, f"{theirs}.mamba", NAMES, bias)
        ours = f"{STACK}.{layer}.{'moe' if sparse else 'gated_mlp'}"
        recipes[f"{ours}.pre_norm.weight"] = Stored(f"{theirs}.pre_ff_layernorm.weight")
        if sparse:
            recipes[f"{ours}.router.weight"] = Stored(f"{theirs}.feed_forward.router.weight")
            recipes |= stacked(f"{ours}.experts", f"{theirs}.feed_forward.experts", experts.count)
        else:
            recipes |= gated(ours, f"{theirs}.feed_forward")
    recipes[f"{STACK}.final_norm.weight"] = Stored("model.final_layernorm.weight")
    return vocabulary.with_ends(
        recipes, tied=config.flag("tie_word_embeddings", False), head=head, stack=STACK,
        embedding="model.embed_tokens.weight", logits="lm_head.weight", prefix="model.",
    )  # fmt: skip


def _rhythm(chosen: list[bool], what: str) -> tuple[int, int]:
    """Period and offset of the layers chosen; one alone has any period that ends after the last layer."""
    if True not in chosen:
        raise CannotSay(f"some layer has {what}")
    first = chosen.index(True)
    period = chosen.index(True, first + 1) - first if chosen.count(True) > 1 else len(chosen)
    return period, first


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    bodies = [stack.bodies[layer.body] for layer in stack.layers]
    if any(len(body) != 2 for body in bodies):
        raise CannotSay("a layer is one mixer and one feed-forward part")
    steps = [[expect(Branch, step, "a step").op for step in body] for body in bodies]
    attn_period, attn_offset = _rhythm([isinstance(mixer, Attention) for mixer, _ in steps], "attention")
    expert_period, expert_offset = _rhythm([isinstance(feed, Moe) for _, feed in steps], "experts")
    attention = next(mixer for mixer, _ in steps if isinstance(mixer, Attention))
    scan = next((mixer for mixer, _ in steps if isinstance(mixer, SelectiveScan)), None)
    mixture = next(feed for _, feed in steps if isinstance(feed, Moe))
    scan = expect(SelectiveScan, scan, "a mixer")
    biases = state_space.bias_fields(scan.bias)
    expert = expect(GatedMlp, mixture.expert, "the expert")
    return {
        "vocab_size": resolved.vocab_size,
        "max_position_embeddings": resolved.max_length,
        "hidden_size": stack.d_model,
        "num_hidden_layers": len(bodies),
        "rms_norm_eps": expect(RmsNorm, stack.final_norm, "the final norm").eps,
        "tie_word_embeddings": is_tied(resolved),
        "hidden_act": spelling(expert.activation),
        "intermediate_size": expert.d_ff,
        "num_attention_heads": attention.n_heads,
        "num_key_value_heads": attention.n_kv_heads,
        "num_experts": mixture.n_experts,
        "num_experts_per_tok": mixture.router.top_k,
        "attn_layer_period": attn_period,
        "attn_layer_offset": attn_offset,
        "expert_layer_period": expert_period,
        "expert_layer_offset": expert_offset,
        "mamba_expand": state_space.expansion(scan.d_inner, stack.d_model),
        "mamba_d_state": scan.d_state,
        "mamba_d_conv": scan.d_conv,
        "mamba_dt_rank": scan.dt_rank,
        "mamba_proj_bias": biases["use_bias"],
        "mamba_conv_bias": biases["use_conv_bias"],
    }


FAMILY = Family(
    model_type="jamba",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"JambaForCausalLM": "tokens", "JambaModel": "none"},
    # Which kernel computes, training, and what the caller gets back.
    inert=frozenset({
        "use_mamba_kernels", "use_mambapy", "use_associative_scan", "output_router_logits", "router_aux_loss_coef",
        "num_logits_to_keep", "auto_map",
    }),
)  # fmt: skip
