"""Phi-3: LLaMA with q, k and v joined by rows, gate and up too, and perhaps a part of each head rotated.

Defaults: transformers 5.23 `models/phi3/configuration_phi3.py` Phi3Config. The length before scaling has a default of
its own, and "su" and "yarn" are old names for longrope.
"""

from dataclasses import replace
from typing import Any

from archspec.interop.hf import rms_decoder, rms_tensors
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.fused import rows
from archspec.interop.hf.rope import read_rope
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

DEFAULTS = rms_decoder.Defaults(vocab_size=32064, d_ff=8192, max_length=4096, d_model=3072, eps=1e-5)
ORIGINAL, PADDING = 4096, 32000
OLD_NAMES = {"su": "longrope", "yarn": "longrope"}


def read(config: Config) -> rms_decoder.Decoder:
    # Of its successors; here one value only means something.
    for name in ("attention_bias", "lm_head_bias", "mlp_bias"):
        config.fixed(name, False)
    config.fixed("full_attn_mod", 1)
    config.fixed("interpolate_factor", 1)
    window = None if config.get("sliding_window") is None else config.integer("sliding_window")
    decoder = rms_decoder.read(
        config,
        DEFAULTS,
        windows=(window,) * config.layers("num_hidden_layers", DEFAULTS.n_layers),
        rope={},
    )
    rope = read_rope(
        config, decoder.max_length, decoder.d_head, partial=True, original=ORIGINAL, names=OLD_NAMES
    )  # fmt: skip
    if rope.get("scaling", {}).get("type") not in (None, "by_length"):
        raise config.fail("rope_scaling/rope_type", "understood are default and longrope")
    return replace(decoder, rope=rope)


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return rms_decoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    decoder = read(config)
    found = rms_tensors.tensors(decoder, head)
    recipes = dict(found.recipes)
    kv = decoder.n_kv_heads * decoder.d_head
    for layer in range(len(decoder.windows)):
        ours, theirs = f"{rms_decoder.STACK}.{layer}", f"model.layers.{layer}"
        heads = rows(f"{theirs}.self_attn.qkv_proj.weight", {"q": decoder.n_heads * decoder.d_head, "k": kv, "v": kv})
        mlp = rows(f"{theirs}.mlp.gate_up_proj.weight", {"gate": decoder.d_ff, "up": decoder.d_ff})
        recipes |= {f"{ours}.attention.{part}.weight": recipe for part, recipe in heads.items()}
        recipes |= {f"{ours}.gated_mlp.{part}.weight": recipe for part, recipe in mlp.items()}
    return replace(found, recipes=recipes)


def to_config(resolved: Resolved) -> dict[str, Any]:
    decoder = rms_decoder.measure(resolved)
    if decoder.attention_bias or decoder.mlp_bias or decoder.qk_norm or len(set(decoder.windows)) != 1:
        raise CannotSay("no biases, no norm on queries and keys, the same window in every layer")
    fields = rms_decoder.fields(decoder) | {"sliding_window": decoder.windows[0]}
    # Phi3Config has this one beside the others, and it wins over the one inside.
    fields["original_max_position_embeddings"] = fields["rope_parameters"].get(
        "original_max_position_embeddings", ORIGINAL
    )
    fields["rope_parameters"] = {"partial_rotary_factor": 1.0} | fields["rope_parameters"]
    if decoder.vocab_size <= PADDING:
        fields["pad_token_id"] = None  # the default would be no row of the table
    if decoder.d_head * decoder.n_heads == decoder.d_model:
        del fields["head_dim"]  # not a field of Phi3Config, though its attention would read it
    return fields


FAMILY = Family(
    model_type="phi3",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"Phi3ForCausalLM": "tokens", "Phi3Model": "none"},
    inert=frozenset({"auto_map"}),
)
