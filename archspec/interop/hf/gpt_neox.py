"""GPT-NeoX and Pythia: one attention and one MLP, beside each other or not, each after a norm; a part of heads rotated.

Defaults: transformers 5.23 `models/gpt_neox/configuration_gpt_neox.py` GPTNeoXConfig; older files say `rotary_pct` and
`rotary_emb_base`. Joined rows go head by head, and within a head q, k, v.
"""

from dataclasses import dataclass
from typing import Any

from archspec.interop.hf import vocabulary
from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.fused import qkv_of_roles
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import attention_and_mlp, expect, is_tied, spelling
from archspec.interop.hf.rope import DEFAULT_THETA, read_rope, write_rope
from archspec.interop.recipe import Recipe, Stored
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import LayerNorm, Rope

STACK = "decoder"
BOTH = ("weight", "bias")
ROTATED = 0.25  # of a head, where the file says nothing


@dataclass(frozen=True)
class NeoX:
    vocab_size: int
    max_length: int
    d_model: int
    d_ff: int
    n_layers: int
    n_heads: int
    eps: float
    activation: str
    rope: dict[str, Any]
    biased: bool  # the attention; the MLP always is
    parallel: bool
    tied: bool


def read(config: Config) -> NeoX:
    d_model, n_heads = config.integer("hidden_size", 6144), config.integer("num_attention_heads", 64)
    if d_model % n_heads:
        raise config.fail("hidden_size", f"{d_model} is not a multiple of num_attention_heads = {n_heads}")
    max_length = config.integer("max_position_embeddings", 2048)
    return NeoX(
        vocab_size=config.integer("vocab_size", 50432),
        max_length=max_length,
        d_model=d_model,
        d_ff=config.integer("intermediate_size", 24576),
        n_layers=config.layers("num_hidden_layers", 44),
        n_heads=n_heads,
        eps=config.number("layer_norm_eps", 1e-5),
        activation=config.word("hidden_act", "gelu", ACTIVATIONS),
        rope=read_rope(
            config,
            max_length,
            d_model // n_heads,
            partial=True,
            theta=config.number("rotary_emb_base", DEFAULT_THETA),
            share=config.number("rotary_pct", ROTATED),
        ),
        biased=config.flag("attention_bias", True),
        parallel=config.flag("use_parallel_residual", True),
        tied=config.flag("tie_word_embeddings", False),
    )


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config)
    norm = {"type": "layer", "eps": m.eps}
    attention: dict[str, Any] = {"type": "attention", "n_heads": m.n_heads, "mask": "causal", "position": [m.rope]}
    if m.biased:
        attention["bias"] = ["q", "k", "v", "o"]
    mlp = {"type": "mlp", "d_ff": m.d_ff, "activation": m.activation, "bias": ["up", "down"]}
    branches = [{"pre_norm": norm, "op": attention}, {"pre_norm": norm, "op": mlp}]
    shared = vocabulary.shared(m.tied, head)
    out: dict[str, Any] = {
        "vocab_size": m.vocab_size,
        "max_length": m.max_length,
        "stacks": {
            STACK: {
                "d_model": m.d_model,
                "input": {"sum": [{"type": "tokens", **shared}]},
                "blocks": {"main": [{"parallel": branches}] if m.parallel else branches},
                "layers": entries(["main"] * m.n_layers),
                "final_norm": norm,
            }
        },
    }
    return out | ({"head": {"logits": {"type": "linear", **shared}}} if head == "tokens" else {})


NAMES = {
    "attention.pre_norm": "input_layernorm",
    "mlp.pre_norm": "post_attention_layernorm",
    "mlp.up": "mlp.dense_h_to_4h",
    "mlp.down": "mlp.dense_4h_to_h",
}


# What older releases stored beside the weights.
BUFFERS = tuple(f"gpt_neox.layers.*.attention.{name}" for name in ("rotary_emb.inv_freq", "bias", "masked_bias"))


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    layer, ours = "gpt_neox.layers.{}", f"{STACK}.{{}}"
    templates: dict[str, Recipe] = {
        f"{ours}.{path}.{role}": Stored(f"{layer}.{name}.{role}") for path, name in NAMES.items() for role in BOTH
    }
    widths = {"weight": m.d_model} | ({"bias": None} if m.biased else {})
    templates |= {f"{ours}.attention.o.{role}": Stored(f"{layer}.attention.dense.{role}") for role in widths}
    templates |= qkv_of_roles(
        f"{ours}.attention", f"{layer}.attention.query_key_value", widths,
        groups=m.n_heads, per_group=1, d_head=m.d_model // m.n_heads,
    )  # fmt: skip
    between: dict[str, Recipe] = {
        **per_layer(m.n_layers, templates),
        **{f"{STACK}.final_norm.{role}": Stored(f"gpt_neox.final_layer_norm.{role}") for role in BOTH},
    }
    return vocabulary.with_ends(
        between, tied=m.tied, head=head, stack=STACK, embedding="gpt_neox.embed_in.weight", logits="embed_out.weight",
        prefix="gpt_neox.", unread=BUFFERS,
    )  # fmt: skip


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    attention, mlp, together = attention_and_mlp(resolved)
    if len(attention.position) != 1:
        raise CannotSay("there are rotary positions and no others")
    rope = expect(Rope, attention.position[0], "the position")
    return {
        "vocab_size": resolved.vocab_size,
        "max_position_embeddings": resolved.max_length,
        "hidden_size": stack.d_model,
        "intermediate_size": mlp.d_ff,
        "num_hidden_layers": len(stack.layers),
        "num_attention_heads": attention.n_heads,
        "layer_norm_eps": expect(LayerNorm, stack.final_norm, "the final norm").eps,
        "hidden_act": spelling(mlp.activation),
        "attention_bias": bool(attention.bias),
        "use_parallel_residual": together is not None,
        "tie_word_embeddings": is_tied(resolved),
        # Absent would mean a quarter here, so the whole is written too.
        "rope_parameters": {"partial_rotary_factor": 1.0} | write_rope(rope, attention.d_head),
    }


FAMILY = Family(
    model_type="gpt_neox",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"GPTNeoXForCausalLM": "tokens", "GPTNeoXModel": "none"},
    inert=frozenset({"is_decoder"}),
)
