"""BLOOM: linear biases by distance, a norm after the embedding, q, k and v joined head by head.

Defaults: transformers 5.23 `models/bloom/configuration_bloom.py` BloomConfig. Its MLP is four times as wide as the
model and its GELU the tanh one (`BloomGelu`); neither is a field.
"""

from dataclasses import dataclass
from typing import Any

from archspec.interop.hf import vocabulary
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.fused import qkv_of_roles
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import expect, is_tied, operator
from archspec.interop.recipe import Recipe, Stored
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import Attention, LayerNorm

STACK = "decoder"
BOTH = ("weight", "bias")


@dataclass(frozen=True)
class Bloom:
    """`max_length` is None where the file does not say how long the training texts were: nothing else bounds them."""

    vocab_size: int
    max_length: int | None
    d_model: int
    n_layers: int
    n_heads: int
    eps: float
    tied: bool


def read(config: Config) -> Bloom:
    config.fixed("apply_residual_connection_post_layernorm", False)
    d_model = config.integer("n_embed", config.integer("hidden_size", 64))
    config.fixed("n_inner", None, 4 * d_model)
    n_heads = config.integer("n_head", config.integer("num_attention_heads", 8))
    if d_model % n_heads:
        raise config.fail("hidden_size", f"{d_model} is not a multiple of n_head = {n_heads}")
    return Bloom(
        vocab_size=config.integer("vocab_size", 250880),
        max_length=None if config.get("seq_length") is None else config.integer("seq_length"),
        d_model=d_model,
        n_layers=config.layers("n_layer", config.layers("num_hidden_layers", 2)),
        n_heads=n_heads,
        eps=config.number("layer_norm_epsilon", 1e-5),
        tied=config.flag("tie_word_embeddings", True),
    )


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config)
    norm = {"type": "layer", "eps": m.eps}
    attention = {
        "type": "attention",
        "n_heads": m.n_heads,
        "bias": ["q", "k", "v", "o"],
        "mask": "causal",
        "position": ["alibi"],
    }
    mlp = {"type": "mlp", "d_ff": 4 * m.d_model, "activation": "gelu_tanh", "bias": ["up", "down"]}
    shared = vocabulary.shared(m.tied, head)
    out: dict[str, Any] = {
        "vocab_size": m.vocab_size,
        **({} if m.max_length is None else {"max_length": m.max_length}),
        "stacks": {
            STACK: {
                "d_model": m.d_model,
                # Slopes multiply positions counted over what the attention mask shows.
                "input": {"sum": [{"type": "tokens", **shared}], "then": [norm], "positions": "count_mask"},
                "blocks": {"main": [{"pre_norm": norm, "op": attention}, {"pre_norm": norm, "op": mlp}]},
                "layers": entries(["main"] * m.n_layers),
                "final_norm": norm,
            }
        },
    }
    return out | ({"head": {"logits": {"type": "linear", **shared}}} if head == "tokens" else {})


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    layer, ours = "transformer.h.{}", f"{STACK}.{{}}"
    parts = {
        "attention.o": "self_attention.dense",
        "mlp.up": "mlp.dense_h_to_4h",
        "mlp.down": "mlp.dense_4h_to_h",
        "attention.pre_norm": "input_layernorm",
        "mlp.pre_norm": "post_attention_layernorm",
    }
    templates: dict[str, Recipe] = {
        f"{ours}.{path}.{role}": Stored(f"{layer}.{name}.{role}") for path, name in parts.items() for role in BOTH
    }
    templates |= qkv_of_roles(
        f"{ours}.attention", f"{layer}.self_attention.query_key_value", {"weight": m.d_model, "bias": None},
        groups=m.n_heads, per_group=1, d_head=m.d_model // m.n_heads,
    )  # fmt: skip
    between: dict[str, Recipe] = {
        **{f"{STACK}.text.then.0.{role}": Stored(f"transformer.word_embeddings_layernorm.{role}") for role in BOTH},
        **per_layer(m.n_layers, templates),
        **{f"{STACK}.final_norm.{role}": Stored(f"transformer.ln_f.{role}") for role in BOTH},
    }
    return vocabulary.with_ends(
        between, tied=m.tied, head=head, stack=STACK, embedding="transformer.word_embeddings.weight",
        logits="lm_head.weight", prefix="transformer.",
    )  # fmt: skip


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    bodies = [stack.bodies[layer.body] for layer in stack.layers]
    if not bodies or len(bodies[0]) != 2:
        raise CannotSay("a layer is one attention and one MLP")
    length = {} if resolved.max_length is None else {"seq_length": resolved.max_length}
    return length | {
        "vocab_size": resolved.vocab_size,
        "hidden_size": stack.d_model,
        "n_layer": len(bodies),
        "n_head": operator(bodies[0][0], Attention).n_heads,
        "layer_norm_epsilon": expect(LayerNorm, stack.final_norm, "the final norm").eps,
        "tie_word_embeddings": is_tied(resolved),
    }


# How the training program fused its kernels, and in which order sums are taken across its devices.
TRAINING_FIELDS = frozenset({
    "slow_but_exact", "attention_softmax_in_fp32", "bias_dropout_fusion", "masked_softmax_fusion", "offset_alibi",
    "skip_bias_add", "skip_bias_add_qkv",
})  # fmt: skip

FAMILY = Family(
    model_type="bloom",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"BloomForCausalLM": "tokens", "BloomModel": "none"},
    inert=TRAINING_FIELDS,
)
