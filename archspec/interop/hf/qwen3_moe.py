"""Qwen3-MoE: Qwen3 with experts, and none shared, in all or some layers. Its window, if it has one, is everywhere.

Defaults: transformers 5.23 `models/qwen3_moe/configuration_qwen3_moe.py` Qwen3MoeConfig.
"""

from typing import Any

from archspec.interop.hf import moe_decoder, rms_decoder
from archspec.interop.hf.config import Config
from archspec.interop.hf.experts import Experts, read_count, read_top_k
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.moe_decoder import MoeDecoder
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

DEFAULTS = rms_decoder.Defaults(
    vocab_size=151936, d_ff=6144, max_length=32768, n_kv_heads=4, d_model=2048, n_layers=24, n_heads=32
)


def _window(config: Config) -> int | None:
    use = config.flag("use_sliding_window", False)
    config.get("max_window_layers")  # written by earlier releases; nothing reads it
    if config.get("sliding_window") is None:
        return 4096 if use and not config.is_null("sliding_window") else None
    return config.integer("sliding_window") if use else None


def read(config: Config) -> MoeDecoder:
    n_layers = config.layers("num_hidden_layers", DEFAULTS.n_layers)
    bias = ("q", "k", "v", "o") if config.flag("attention_bias", False) else ()
    windows = (_window(config),) * n_layers
    decoder = rms_decoder.read(config, DEFAULTS, windows=windows, attention_bias=bias, qk_norm="head")
    count = read_count(config, "num_experts", 128, other="num_local_experts")
    experts = Experts(
        count,
        config.integer("moe_intermediate_size", 768),
        read_top_k(config, count, 8),
        decoder.activation,
        normalised=config.flag("norm_topk_prob", False),
    )
    return MoeDecoder(decoder, experts, moe_decoder.read_sparse(config, n_layers))


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return moe_decoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return moe_decoder.tensors(read(config), head, moe_decoder.Names())


def to_config(resolved: Resolved) -> dict[str, Any]:
    m = moe_decoder.measured(resolved)
    decoder = m.decoder
    if not decoder.qk_norm or decoder.mlp_bias or m.experts.shared or len(set(decoder.windows)) != 1:
        raise CannotSay("a norm on each head of queries and keys, no biases in the MLP, no shared expert, one window")
    fields = rms_decoder.fields(decoder) | moe_decoder.sparse_fields(m)
    if all(m.sparse):
        del fields["intermediate_size"]
    return fields | {
        "attention_bias": bool(decoder.attention_bias),
        "use_sliding_window": bool(decoder.windows[0]),
        "sliding_window": decoder.windows[0],
    }


FAMILY = Family(
    model_type="qwen3_moe",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"Qwen3MoeForCausalLM": "tokens", "Qwen3MoeModel": "none"},
    inert=frozenset(["router_aux_loss_coef", "output_router_logits"]),
)
