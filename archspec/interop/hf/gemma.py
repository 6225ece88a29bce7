"""Gemma: LLaMA with norms that multiply by 1 + w, words scaled by sqrt(d_model), the tanh GELU and a tied head.

Defaults: transformers 5.23 `models/gemma/configuration_gemma.py` GemmaConfig. It says "gelu" and means the tanh form,
which GemmaConfig puts in its place; the first releases wrote the truth beside it as `hidden_activation`, which nothing
reads.
"""

from dataclasses import replace
from typing import Any

from archspec.interop.hf import rms_decoder, rms_tensors
from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

DEFAULTS = rms_decoder.Defaults(
    vocab_size=256000, d_ff=24576, max_length=8192, n_kv_heads=16, d_head=256, d_model=3072, n_layers=28, n_heads=16
)
PROJECTIONS = ("q", "k", "v", "o")


def read(config: Config) -> rms_decoder.Decoder:
    activation = config.word("hidden_act", "gelu_pytorch_tanh", ACTIVATIONS | {"gelu": "gelu_tanh"})
    decoder = common(config, DEFAULTS)
    return replace(decoder, activation=activation)


def common(config: Config, defaults: rms_decoder.Defaults, **differences: Any) -> rms_decoder.Decoder:
    """What all Gemmas share."""
    config.fixed("use_bidirectional_attention", None, False)
    return rms_decoder.read(
        config,
        defaults,
        gain="one_plus",
        scaled_words=True,
        tied=config.flag("tie_word_embeddings", True),
        attention_bias=PROJECTIONS if config.flag("attention_bias", False) else (),
        **differences,
    )


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return rms_decoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return rms_tensors.tensors(read(config), head)


def fields(resolved: Resolved) -> tuple[rms_decoder.Decoder, dict[str, Any]]:
    decoder = rms_decoder.measure(resolved)
    if decoder.gain != "one_plus" or not decoder.scaled_words:
        raise CannotSay("norms multiply by 1 + w, and words are scaled")
    out = rms_decoder.fields(decoder) | {"attention_bias": bool(decoder.attention_bias)}
    if resolved.head is None:
        out["tie_word_embeddings"] = True
    if out["hidden_act"] == "gelu_new":
        out["hidden_act"] = "gelu_pytorch_tanh"
    return decoder, out


def to_config(resolved: Resolved) -> dict[str, Any]:
    return fields(resolved)[1]


FAMILY = Family(
    model_type="gemma",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"GemmaForCausalLM": "tokens", "GemmaModel": "none"},
    inert=frozenset({"hidden_activation"}),
)
