"""Gemma 2: Gemma with norms after each branch too, windows in every second layer, and scores and logits capped.

Defaults: transformers 5.23 `models/gemma2/configuration_gemma2.py` Gemma2Config. The activation is `hidden_activation`;
files carry `hidden_act` beside it, which nothing reads.
"""

from typing import Any

from archspec.interop.hf import gemma, layer_windows, rms_decoder, rms_tensors
from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import Family, HeadKind
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

DEFAULTS = rms_decoder.Defaults(
    vocab_size=256000, d_ff=9216, max_length=8192, n_kv_heads=4, d_head=256, d_model=2304, n_layers=26, n_heads=8
)


def read(config: Config) -> rms_decoder.Decoder:
    n_layers = config.layers("num_hidden_layers", DEFAULTS.n_layers)
    return sandwich(
        config,
        DEFAULTS,
        windows=layer_windows.alternating(config, n_layers, 2, 4096),
        softcap=cap(config, "attn_logit_softcapping", 50.0),
        logit_softcap=cap(config, "final_logit_softcapping", 30.0),
    )


def sandwich(config: Config, defaults: rms_decoder.Defaults, **differences: Any) -> rms_decoder.Decoder:
    """What Gemma 2 and 3 share beyond the first."""
    return gemma.common(
        config,
        defaults,
        norms="both",
        activation=config.word("hidden_activation", "gelu_pytorch_tanh", ACTIVATIONS),
        query_scale=config.number("query_pre_attn_scalar", 256),
        **differences,
    )


def cap(config: Config, name: str, default: float | None) -> float | None:
    """Null means none, absent the default."""
    return None if config.is_null(name) or config.get(name, default) is None else config.number(name, default)


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return rms_decoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return rms_tensors.tensors(read(config), head)


def fields(resolved: Resolved) -> tuple[rms_decoder.Decoder, dict[str, Any]]:
    decoder, out = gemma.fields(resolved)
    out |= {
        "hidden_activation": out.pop("hidden_act"),
        "query_pre_attn_scalar": round(decoder.query_scale or decoder.d_head),
        "attn_logit_softcapping": decoder.softcap,
    }
    # The bare model does not say how its logits would be capped.
    if resolved.head is not None:
        out["final_logit_softcapping"] = decoder.logit_softcap
    return decoder, out | layer_windows.fields(decoder.windows)


def to_config(resolved: Resolved) -> dict[str, Any]:
    return fields(resolved)[1]


FAMILY = Family(
    model_type="gemma2",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"Gemma2ForCausalLM": "tokens", "Gemma2Model": "none"},
    inert=frozenset({"hidden_act", "cache_implementation", "sliding_window_size"}),
)
