"""Gemma 3, text: Gemma 2 with a norm on each head of q and k, five windows to one full layer that rotates otherwise.

Defaults: transformers 5.23 `models/gemma3/configuration_gemma3.py` Gemma3TextConfig: rotations are one object for each
kind of layer, in older files `rope_theta` and `rope_scaling` for the full ones and `rope_local_base_freq`.
"""

from typing import Any

from archspec.interop.hf import gemma2, layer_windows, rms_decoder, rms_tensors
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.rope import read_parameters
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

DEFAULTS = rms_decoder.Defaults(
    vocab_size=262208, d_ff=9216, max_length=131072, n_kv_heads=4, d_head=256, d_model=2304, n_layers=26, n_heads=8
)
THETA = {"full_attention": 1_000_000.0, "sliding_attention": 10_000.0}
OLD_THETA = {"full_attention": "rope_theta", "sliding_attention": "rope_local_base_freq"}


def read(config: Config) -> rms_decoder.Decoder:
    n_layers = config.layers("num_hidden_layers", DEFAULTS.n_layers)
    windows = layer_windows.alternating(config, n_layers, config.integer("sliding_window_pattern", 6), 4096)
    d_head = config.integer("head_dim", DEFAULTS.d_head)
    wide, local = _ropes(config, config.integer("max_position_embeddings", DEFAULTS.max_length), d_head)
    only_local = all(windows)
    return gemma2.sandwich(
        config,
        DEFAULTS,
        windows=windows,
        qk_norm="head",
        softcap=gemma2.cap(config, "attn_logit_softcapping", None),
        logit_softcap=gemma2.cap(config, "final_logit_softcapping", None),
        rope=local if only_local else wide,
        local_rope=local if any(windows) and not only_local and local != wide else None,
    )


def _ropes(config: Config, max_length: int, d_head: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of the full layers, and of those with a window."""
    both = config.group("rope_parameters") or Config({}, config.source)
    old = config.group("rope_scaling")
    found = []
    for kind, theta in THETA.items():
        inside = both.group(kind) or Config({}, config.source)
        if kind == "full_attention" and old is not None:
            inside = old
        found.append(read_parameters(inside, max_length, d_head, config.number(OLD_THETA[kind], theta))[0])
    both.finish()
    return found[0], found[1]


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return rms_decoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return rms_tensors.tensors(read(config), head)


def to_config(resolved: Resolved) -> dict[str, Any]:
    decoder, out = gemma2.fields(resolved)
    if decoder.qk_norm != "head":
        raise CannotSay("a norm on each head of queries and keys")
    local = dict(decoder.local_rope or decoder.rope)
    return out | {"rope_parameters": {"full_attention": dict(decoder.rope), "sliding_attention": local}}


FAMILY = Family(
    model_type="gemma3_text",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"Gemma3ForCausalLM": "tokens", "Gemma3TextModel": "none"},
    inert=frozenset({"_sliding_window_pattern", "cache_implementation", "hidden_act"}),
)
