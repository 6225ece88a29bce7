"""The text model of DeepSeek-OCR 2, which is DeepSeekMoE's: plain attention, shared and routed experts as scored.

Defaults: transformers 5.23 `models/deepseek_ocr2/configuration_deepseek_ocr2.py` DeepseekOcr2TextConfig; which layers
have experts its files have to say. Its checkpoints hold the experts in one tensor, gate before up.
"""

from dataclasses import replace
from typing import Any

from archspec.interop.hf import moe_decoder, rms_decoder
from archspec.interop.hf.config import Config
from archspec.interop.hf.experts import Experts, read_count, read_top_k
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.latent_decoder import read_groups
from archspec.interop.hf.moe_decoder import MoeDecoder
from archspec.interop.hf.rms_decoder import STACK
from archspec.interop.recipe import Recipe, Slice, Stored
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

DEFAULTS = rms_decoder.Defaults(vocab_size=102400, d_ff=11008, max_length=2048)
METHODS = {"greedy": "greedy", "group_limited_greedy": "group_limited_greedy"}
PROJECTIONS = ("q", "k", "v", "o")


def read(config: Config) -> MoeDecoder:
    bias = PROJECTIONS if config.flag("attention_bias", False) else ()
    decoder = rms_decoder.read(config, DEFAULTS, attention_bias=bias)
    config.fixed("mlp_bias", False)
    config.fixed("head_dim", decoder.d_model // decoder.n_heads)
    count = read_count(config, "n_routed_experts", 64, other="num_experts")
    d_ff = config.integer("moe_intermediate_size", 1407)
    limited = config.word("topk_method", "greedy", METHODS) == "group_limited_greedy"
    config.get("n_group"), config.get("topk_group")
    experts = Experts(
        count,
        d_ff,
        read_top_k(config, count, None),
        decoder.activation,
        normalised=False,
        shared=d_ff * config.integer("n_shared_experts", 2),
        groups=read_groups(config, count, None, None, "max") if limited else None,
        scale=config.number("routed_scaling_factor", 1.0),
    )
    kinds, n_layers = config.get("mlp_layer_types"), len(decoder.windows)
    if not isinstance(kinds, list) or len(kinds) != n_layers or not set(kinds) <= {"dense", "sparse"}:
        raise config.fail("mlp_layer_types", f"expected a list of {n_layers} times 'dense' or 'sparse'")
    return MoeDecoder(decoder, experts, tuple(kind == "sparse" for kind in kinds))


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return moe_decoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    found = moe_decoder.tensors(m, head, moe_decoder.Names(shared="shared_experts"))
    recipes: dict[str, Recipe] = dict(found.recipes)
    for layer in (layer for layer, sparse in enumerate(m.sparse) if sparse):
        ours, theirs = f"{STACK}.{layer}.moe.experts", f"model.layers.{layer}.mlp.experts"
        joined, width = Stored(f"{theirs}.gate_up_proj"), m.experts.d_ff  # (experts, 2 d_ff, d_model)
        recipes[f"{ours}.gate.weight"] = Slice(joined, 1, 0, width)
        recipes[f"{ours}.up.weight"] = Slice(joined, 1, width, 2 * width)
        recipes[f"{ours}.down.weight"] = Stored(f"{theirs}.down_proj")
    return replace(found, recipes=recipes)


def to_config(resolved: Resolved) -> dict[str, Any]:
    m = moe_decoder.measured(resolved)
    experts = m.experts
    if experts.normalised or experts.score != "softmax" or experts.shared is None or experts.shared % experts.d_ff:
        raise CannotSay("softmax scores, taken as they are, and a shared expert as wide as some routed ones")
    fields = rms_decoder.fields(m.decoder) | {
        "attention_bias": bool(m.decoder.attention_bias),
        "n_routed_experts": experts.count,
        "num_experts_per_tok": experts.top_k,
        "moe_intermediate_size": experts.d_ff,
        "n_shared_experts": experts.shared // experts.d_ff,
        "routed_scaling_factor": experts.scale,
        "mlp_layer_types": ["sparse" if sparse else "dense" for sparse in m.sparse],
        "topk_method": "group_limited_greedy" if experts.groups else "greedy",
    }
    if experts.groups:
        fields |= {"n_group": experts.groups[0], "topk_group": experts.groups[1]}
    return fields


FAMILY = Family(
    model_type="deepseek_ocr2_text",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"DeepseekOcr2TextModel": "none"},
    head="none",
    inert=frozenset(["output_router_logits"]),
)
