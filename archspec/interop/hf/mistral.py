"""Mistral: LLaMA with grouped heads and one window in every layer, no biases.

Defaults: transformers 5.23 `models/mistral/configuration_mistral.py` MistralConfig. A window of W shows W keys, the own
one included (`masking_utils.sliding_window_overlay`: kv_idx > q_idx - W).
"""

from typing import Any

from archspec.interop.hf import rms_decoder, rms_tensors
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

DEFAULTS = rms_decoder.Defaults(vocab_size=32000, d_ff=14336, max_length=4096 * 32, n_kv_heads=8)


def read(config: Config) -> rms_decoder.Decoder:
    window: int | None = config.integer("sliding_window", 4096, null=True)
    if config.is_null("sliding_window"):
        window = None  # no window; only an absent field means the default
    n_layers = config.layers("num_hidden_layers", DEFAULTS.n_layers)
    return rms_decoder.read(config, DEFAULTS, windows=(window,) * n_layers)


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return rms_decoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return rms_tensors.tensors(read(config), head)


def to_config(resolved: Resolved) -> dict[str, Any]:
    decoder = rms_decoder.measure(resolved)
    if decoder.attention_bias or decoder.mlp_bias or decoder.qk_norm or len(set(decoder.windows)) != 1:
        raise CannotSay("no biases, no norm on queries and keys, the same window in every layer")
    return rms_decoder.fields(decoder) | {"sliding_window": decoder.windows[0]}


FAMILY = Family(
    model_type="mistral",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"MistralForCausalLM": "tokens", "MistralModel": "none"},
)
