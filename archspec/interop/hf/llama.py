"""LLaMA and what shares its code. Defaults: transformers 5.23 `models/llama/configuration_llama.py` LlamaConfig."""

from typing import Any

from archspec.interop.hf import rms_decoder, rms_tensors
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

DEFAULTS = rms_decoder.Defaults(vocab_size=32000, d_ff=11008, max_length=2048)


def read(config: Config) -> rms_decoder.Decoder:
    config.fixed("rope_interleaved", False)
    bias = ("q", "k", "v", "o") if config.flag("attention_bias", False) else ()
    return rms_decoder.read(config, DEFAULTS, attention_bias=bias, mlp_bias=config.flag("mlp_bias", False))


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return rms_decoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return rms_tensors.tensors(read(config), head)


def to_config(resolved: Resolved) -> dict[str, Any]:
    decoder = rms_decoder.measure(resolved)
    if any(decoder.windows) or decoder.qk_norm:
        raise CannotSay("no windows, no norm on queries and keys")
    return rms_decoder.fields(decoder) | {"attention_bias": bool(decoder.attention_bias), "mlp_bias": decoder.mlp_bias}


FAMILY = Family(
    model_type="llama",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"LlamaForCausalLM": "tokens", "LlamaModel": "none"},
    inert=frozenset(["is_llama_config", "transformers.js_config"]),
)
