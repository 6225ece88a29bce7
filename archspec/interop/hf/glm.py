"""GLM: LLaMA with biases on q, k and v, half of each head rotated in neighbouring pairs, gate and up joined by rows.

Defaults: transformers 5.23 `models/glm/configuration_glm.py` GlmConfig; GLM-4 has the same ones and two norms more.
"""

from dataclasses import replace
from typing import Any

from archspec.interop.hf import rms_decoder, rms_tensors
from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.fused import rows
from archspec.interop.hf.reading import operator
from archspec.interop.hf.rope import read_rope
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.types import Attention, Rope

ROTATED = 0.5  # of a head, where the file says nothing
PADDING = 151329  # GlmConfig.pad_token_id
BIASED = ("q", "k", "v")


def read(config: Config) -> rms_decoder.Decoder:
    n_heads = config.integer("num_attention_heads", 32)
    absent = n_heads if config.is_null("num_key_value_heads") else 2
    n_kv_heads = config.integer("num_key_value_heads", absent, null=True)
    if n_heads % n_kv_heads:
        raise config.fail("num_key_value_heads", f"{n_kv_heads} does not divide num_attention_heads = {n_heads}")
    d_head, max_length = config.integer("head_dim", 128), config.integer("max_position_embeddings", 131072)
    return rms_decoder.Decoder(
        vocab_size=config.integer("vocab_size", 151552),
        max_length=max_length,
        d_model=config.integer("hidden_size", 4096),
        d_ff=config.integer("intermediate_size", 13696),
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_head=d_head,
        eps=config.number("rms_norm_eps", 1.5625e-7),
        activation=config.word("hidden_act", "silu", ACTIVATIONS),
        rope=_rope(config, max_length, d_head),
        tied=config.flag("tie_word_embeddings", False),
        windows=(None,) * config.layers("num_hidden_layers", 40),
        attention_bias=BIASED if config.flag("attention_bias", True) else (),
    )


def _rope(config: Config, max_length: int, d_head: int) -> dict[str, Any]:
    rope = read_rope(config, max_length, d_head, partial=True)
    inside = config.get("rope_scaling") or config.get("rope_parameters") or {}
    if config.get("partial_rotary_factor") is None and inside.get("partial_rotary_factor") is None:
        rope["dims"] = int(d_head * ROTATED)
    return rope | {"pairing": "interleaved"}


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return rms_decoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    decoder = read(config)
    found = rms_tensors.tensors(decoder, head)
    recipes = dict(found.recipes)
    for layer in range(len(decoder.windows)):
        joined = rows(f"model.layers.{layer}.mlp.gate_up_proj.weight", {"gate": decoder.d_ff, "up": decoder.d_ff})
        for part, recipe in joined.items():
            recipes[f"{rms_decoder.STACK}.{layer}.gated_mlp.{part}.weight"] = recipe
    return replace(found, recipes=recipes)


def to_config(resolved: Resolved) -> dict[str, Any]:
    decoder = rms_decoder.measure(resolved)
    stack = resolved.stacks[resolved.output]
    for body in stack.bodies:
        attention = operator(body[0], Attention)
        if any(isinstance(position, Rope) and position.pairing != "interleaved" for position in attention.position):
            raise CannotSay("neighbours are rotated together")
    if decoder.attention_bias not in ((), BIASED) or decoder.mlp_bias or decoder.qk_norm or any(decoder.windows):
        raise CannotSay("biases on q, k and v at most, no norm on queries and keys, full attention")
    fields = rms_decoder.fields(decoder) | {"attention_bias": bool(decoder.attention_bias)}
    # Absent would mean a half here, so the whole is written too.
    fields["rope_parameters"] = {"partial_rotary_factor": 1.0} | fields["rope_parameters"]
    if decoder.vocab_size <= PADDING:
        fields["pad_token_id"] = None  # the default would be no row of the table
    return fields


FAMILY = Family(
    model_type="glm",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"GlmForCausalLM": "tokens", "GlmModel": "none"},
)
