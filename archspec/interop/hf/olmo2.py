"""OLMo 2: LLaMA with norms after each branch in place of before, and norms over the width of q and k.

Defaults: transformers 5.23 `models/olmo2/configuration_olmo2.py` Olmo2Config.
"""

from typing import Any

from archspec.interop.hf import rms_decoder, rms_tensors
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

DEFAULTS = rms_decoder.Defaults(vocab_size=50304, d_ff=11008, max_length=2048, eps=1e-5)


def read(config: Config) -> rms_decoder.Decoder:
    bias = ("q", "k", "v", "o") if config.flag("attention_bias", False) else ()
    return rms_decoder.read(config, DEFAULTS, attention_bias=bias, norms="after", qk_norm="width")


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return rms_decoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return rms_tensors.tensors(read(config), head)


def to_config(resolved: Resolved) -> dict[str, Any]:
    decoder = rms_decoder.measure(resolved)
    if decoder.norms != "after" or decoder.qk_norm != "width":
        raise CannotSay("norms after each branch, and over the width of queries and keys")
    fields = rms_decoder.fields(decoder) | {"attention_bias": bool(decoder.attention_bias)}
    if decoder.d_head * decoder.n_heads == decoder.d_model:
        del fields["head_dim"]  # not a field of Olmo2Config, though its attention would read it
    return fields


FAMILY = Family(
    model_type="olmo2",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"Olmo2ForCausalLM": "tokens", "Olmo2Model": "none"},
)
