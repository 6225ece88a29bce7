"""Qwen2: LLaMA with biases on q, k and v, and windows in its upper layers.

Defaults: transformers 5.23 `models/qwen2/configuration_qwen2.py` Qwen2Config.
"""

from typing import Any

from archspec.interop.hf import layer_windows, rms_decoder, rms_tensors
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

DEFAULTS = rms_decoder.Defaults(vocab_size=151936, d_ff=22016, max_length=32768, n_kv_heads=32)
BIAS = ("q", "k", "v")


def read(config: Config) -> rms_decoder.Decoder:
    config.fixed("use_mrope", False)
    windows = layer_windows.upper(config, config.layers("num_hidden_layers", DEFAULTS.n_layers))
    return rms_decoder.read(config, DEFAULTS, windows=windows, attention_bias=BIAS)


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return rms_decoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return rms_tensors.tensors(read(config), head)


def to_config(resolved: Resolved) -> dict[str, Any]:
    decoder = rms_decoder.measure(resolved)
    if set(decoder.attention_bias) != set(BIAS) or decoder.mlp_bias or decoder.qk_norm:
        raise CannotSay("biases on q, k and v and nowhere else, no norm on queries and keys")
    fields = rms_decoder.fields(decoder) | layer_windows.upper_fields(decoder.windows)
    if decoder.d_head * decoder.n_heads == decoder.d_model:
        del fields["head_dim"]  # not a field of Qwen2Config, though its attention would read it
    return fields


FAMILY = Family(
    model_type="qwen2",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"Qwen2ForCausalLM": "tokens", "Qwen2Model": "none"},
)
