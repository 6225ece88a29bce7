"""Qwen3: Qwen2 with an RMS norm on each head of q and k before rotation, a free head size and no biases by default.

Defaults: transformers 5.23 `models/qwen3/configuration_qwen3.py` Qwen3Config.
"""

from typing import Any

from archspec.interop.hf import layer_windows, rms_decoder, rms_tensors
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

DEFAULTS = rms_decoder.Defaults(vocab_size=151936, d_ff=22016, max_length=32768, n_kv_heads=32, d_head=128)


def read(config: Config) -> rms_decoder.Decoder:
    windows = layer_windows.upper(config, config.layers("num_hidden_layers", DEFAULTS.n_layers))
    bias = ("q", "k", "v", "o") if config.flag("attention_bias", False) else ()
    return rms_decoder.read(config, DEFAULTS, windows=windows, attention_bias=bias, qk_norm="head")


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return rms_decoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return rms_tensors.tensors(read(config), head)


def to_config(resolved: Resolved) -> dict[str, Any]:
    decoder = rms_decoder.measure(resolved)
    if not decoder.qk_norm or decoder.mlp_bias:
        raise CannotSay("a norm on each head of queries and keys, no biases in the MLP")
    fields = rms_decoder.fields(decoder) | layer_windows.upper_fields(decoder.windows)
    return fields | {"attention_bias": bool(decoder.attention_bias)}


FAMILY = Family(
    model_type="qwen3",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"Qwen3ForCausalLM": "tokens", "Qwen3Model": "none"},
)
