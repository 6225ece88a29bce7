"""Qwen2-MoE: Qwen2 with experts, and one shared expert behind a sigmoid gate, in all or some layers.

Defaults: transformers 5.23 `models/qwen2_moe/configuration_qwen2_moe.py` Qwen2MoeConfig. Its windows stand in every
second of the lower layers, unlike Qwen2's.
"""

from typing import Any

from archspec.interop.hf import layer_windows, moe_decoder, rms_decoder
from archspec.interop.hf.config import Config
from archspec.interop.hf.experts import Experts, read_count, read_top_k
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.moe_decoder import MoeDecoder
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

DEFAULTS = rms_decoder.Defaults(
    vocab_size=151936, d_ff=5632, max_length=32768, n_kv_heads=16, d_model=2048, n_layers=24, n_heads=16
)
BIAS = ("q", "k", "v")


def _windows(config: Config, n_layers: int) -> tuple[int | None, ...]:
    use = config.flag("use_sliding_window", False)
    first = config.integer("max_window_layers", 28, least=0, null=not use)
    config.get("sliding_window")
    if not use:
        config.fixed("layer_types", None, ["full_attention"] * n_layers)
        return (None,) * n_layers
    if config.get("layer_types") is not None:
        return layer_windows.upper(config, n_layers)
    window = config.integer("sliding_window", 4096)
    return tuple(window if layer % 2 == 0 and layer < first else None for layer in range(n_layers))


def read(config: Config) -> MoeDecoder:
    n_layers = config.layers("num_hidden_layers", DEFAULTS.n_layers)
    decoder = rms_decoder.read(
        config,
        DEFAULTS,
        windows=_windows(config, n_layers),
        attention_bias=BIAS if config.flag("qkv_bias", True) else (),
    )
    count = read_count(config, "num_experts", 60)
    experts = Experts(
        count,
        config.integer("moe_intermediate_size", 1408),
        read_top_k(config, count, 4),
        decoder.activation,
        normalised=config.flag("norm_topk_prob", False),
        shared=config.integer("shared_expert_intermediate_size", 5632),
        shared_gate=True,
    )
    return MoeDecoder(decoder, experts, moe_decoder.read_sparse(config, n_layers))


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return moe_decoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return moe_decoder.tensors(read(config), head, moe_decoder.Names())


def to_config(resolved: Resolved) -> dict[str, Any]:
    m = moe_decoder.measured(resolved)
    decoder = m.decoder
    if decoder.qk_norm or decoder.mlp_bias or m.experts.shared is None:
        raise CannotSay("no norm on queries and keys, no biases in the MLP, a shared expert")
    fields = rms_decoder.fields(decoder) | layer_windows.upper_fields(decoder.windows) | moe_decoder.sparse_fields(m)
    if decoder.d_head * decoder.n_heads == decoder.d_model:
        del fields["head_dim"]  # not a field of Qwen2MoeConfig, though its attention would read it
    if all(m.sparse):
        del fields["intermediate_size"]
    return fields | {
        "qkv_bias": bool(decoder.attention_bias),
        "shared_expert_intermediate_size": m.experts.shared,
    }


FAMILY = Family(
    model_type="qwen2_moe",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"Qwen2MoeForCausalLM": "tokens", "Qwen2MoeModel": "none"},
    inert=frozenset(["router_aux_loss_coef", "output_router_logits"]),
)
