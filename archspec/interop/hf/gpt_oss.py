"""gpt-oss: a sink in every attention, windows in every second layer, experts with bounded factors and biases.

Defaults: transformers 5.23 `models/gpt_oss/configuration_gpt_oss.py` GptOssConfig. An expert computes
down(gate·sigmoid(1.702 gate) ⊙ (up + 1)) with both factors bounded; its matrices are stored as (experts, in, out), gate
and up in alternating columns. The published weights are quantised (MXFP4), which `quantization_config` says; those are
refused.
"""

from dataclasses import replace
from typing import Any

from archspec.interop.hf import layer_windows, rms_decoder, rms_tensors
from archspec.interop.hf.config import Config
from archspec.interop.hf.experts import only, read_count, read_top_k
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.reading import expect, operator
from archspec.interop.hf.rms_decoder import STACK, Decoder
from archspec.interop.hf.rope import read_rope
from archspec.interop.recipe import Recipe, Reshape, Select, Stored, Transpose
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.types import GatedMlp, Moe

DEFAULTS = rms_decoder.Defaults(
    vocab_size=201088, d_ff=2880, max_length=131072, n_kv_heads=8, d_head=64, d_model=2880, n_layers=36, n_heads=64,
    eps=1e-5, theta=150000.0,
)  # fmt: skip
PROJECTIONS = ("q", "k", "v", "o")
YARN = {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
        "original_max_position_embeddings": 4096}  # fmt: skip


def read(config: Config) -> Decoder:
    config.fixed("swiglu_alpha", 1.702)
    config.get("hidden_act")  # nothing reads it: the experts are what they are
    n_layers = config.layers("num_hidden_layers", DEFAULTS.n_layers)
    decoder = rms_decoder.read(
        config,
        DEFAULTS,
        windows=layer_windows.alternating(config, n_layers, 2, 128),
        attention_bias=PROJECTIONS if config.flag("attention_bias", True) else (),
        sinks=True,
        activation="gelu_quick",
        rope={},
    )
    said = config.get("rope_parameters") or config.get("rope_scaling")
    file = config if said else Config({**config.fields, "rope_parameters": YARN}, config.source)
    config.get("rope_theta")
    return replace(decoder, rope=read_rope(file, decoder.max_length, decoder.d_head, theta=DEFAULTS.theta))


def _moe(config: Config, decoder: Decoder) -> dict[str, Any]:
    count = read_count(config, "num_local_experts", 128, other="num_experts")
    limit = config.number("swiglu_limit", 7.0)
    expert = {"type": "gated_mlp", "d_ff": decoder.d_ff, "activation": decoder.activation}
    return {
        "type": "moe",
        "n_experts": count,
        "expert": expert | {"bias": ["up", "gate", "down"], "up_offset": 1, "clamp": limit},
        "router": {
            "score": "logits", "bias": True, "top_k": read_top_k(config, count, 4), "weights": "softmax_selected",
        },
    }  # fmt: skip


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    decoder = read(config)
    out = rms_decoder.spec(decoder, head)
    first = next(iter(out["stacks"][STACK]["blocks"].values()))
    first[1]["op"] = _moe(config, decoder)
    return out


def tensors(config: Config, head: HeadKind) -> TensorMap:
    decoder = read(config)
    count, d, d_ff = _moe(config, decoder)["n_experts"], decoder.d_model, decoder.d_ff
    found = rms_tensors.tensors(decoder, head)
    recipes: dict[str, Recipe] = {}
    for path, recipe in found.recipes.items():
        if ".gated_mlp." not in path:
            recipes[path] = recipe
        elif path.endswith("pre_norm.weight"):
            recipes[path.replace(".gated_mlp.", ".moe.")] = recipe
    for layer in range(len(decoder.windows)):
        ours, theirs = f"{STACK}.{layer}.moe", f"model.layers.{layer}.mlp"
        both = Reshape(Stored(f"{theirs}.experts.gate_up_proj"), (count, d, d_ff, 2))
        bias = Reshape(Stored(f"{theirs}.experts.gate_up_proj_bias"), (count, d_ff, 2))
        for i, part in enumerate(("gate", "up")):
            recipes[f"{ours}.experts.{part}.weight"] = Transpose(Select(both, 3, i), (0, 2, 1))
            recipes[f"{ours}.experts.{part}.bias"] = Select(bias, 2, i)
        recipes[f"{ours}.experts.down.weight"] = Transpose(Stored(f"{theirs}.experts.down_proj"), (0, 2, 1))
        recipes[f"{ours}.experts.down.bias"] = Stored(f"{theirs}.experts.down_proj_bias")
        for role in ("weight", "bias"):
            recipes[f"{ours}.router.{role}"] = Stored(f"{theirs}.router.{role}")
    return replace(found, recipes=recipes)


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    if any(len(body) != 2 for body in stack.bodies):
        raise CannotSay("a layer is one attention and one mixture of experts")
    moe: Moe = only({operator(body[1], Moe) for body in stack.bodies}, "mixture of experts")
    expert = expect(GatedMlp, moe.expert, "the expert")
    decoder = rms_decoder.measure(resolved, expert)
    if not decoder.sinks or expert.activation != "gelu_quick":
        raise CannotSay("a sink in every attention, and experts with the quick GELU")
    fields = rms_decoder.fields(replace(decoder, activation="silu")) | layer_windows.fields(decoder.windows)
    return fields | {
        "attention_bias": bool(decoder.attention_bias),
        "num_local_experts": moe.n_experts,
        "num_experts_per_tok": moe.router.top_k,
        "swiglu_limit": expert.clamp,
    }


FAMILY = Family(
    model_type="gpt_oss",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"GptOssForCausalLM": "tokens", "GptOssModel": "none"},
    inert=frozenset(["router_aux_loss_coef", "output_router_logits", "initial_context_length", "experts_per_token"]),
)
