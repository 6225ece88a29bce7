"""MPT: linear biases by distance, norms and matrices without biases, q, k and v joined one after the other.

Defaults: transformers 5.23 `models/mpt/configuration_mpt.py` MptConfig and MptAttentionConfig. Its model ignores
several fields that change what the authors' own code computes; those are understood with the value that both agree on.
"""

from dataclasses import dataclass
from math import isclose, sqrt
from typing import Any

from archspec.interop.hf import vocabulary
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.inert import ALWAYS
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import expect, is_tied, operator
from archspec.interop.recipe import Recipe, Slice, Stored
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import Attention, LayerNorm

STACK = "decoder"


@dataclass(frozen=True)
class Mpt:
    vocab_size: int
    max_length: int
    d_model: int
    n_layers: int
    n_heads: int
    eps: float
    scale: float | None  # None: 1/sqrt(d_head)
    tied: bool


def _size(config: Config, name: str, common: str, default: int) -> int:
    """A size under its own or its common name (MptConfig.attribute_map)."""
    return config.integer(name, config.integer(common, default))


def read(config: Config) -> Mpt:
    config.fixed("expansion_ratio", 4)
    config.fixed("no_bias", True)
    config.fixed("logit_scale", None)
    config.fixed("norm_type", "low_precision_layernorm")
    d_model, n_heads = (
        _size(config, "d_model", "hidden_size", 2048),
        _size(config, "n_heads", "num_attention_heads", 16),
    )
    if d_model % n_heads:
        raise config.fail("d_model", f"{d_model} is not a multiple of n_heads = {n_heads}")
    return Mpt(
        vocab_size=config.integer("vocab_size", 50368),
        max_length=config.integer("max_seq_len", 2048),
        d_model=d_model,
        n_layers=config.layers("n_layers", config.layers("num_hidden_layers", 24)),
        n_heads=n_heads,
        eps=config.number("layer_norm_epsilon", 1e-5),
        scale=_scale(config.group("attn_config") or Config({}, config.source)),
        tied=config.flag("tie_word_embeddings", True),
    )


def _scale(attention: Config) -> float | None:
    attention.fixed("attn_type", "multihead_attention")
    attention.fixed("alibi", True)
    attention.fixed("alibi_bias_max", 8)
    for name in ("prefix_lm", "qk_ln", "attn_uses_sequence_id", "is_encoder_decoder"):
        attention.fixed(name, False)
    attention.fixed("clip_qkv", None, 0)
    scale = attention.get("softmax_scale")
    attention.finish((*ALWAYS, "attn_pdrop", "attn_impl"))
    return None if scale is None else attention.number("softmax_scale")


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config)
    norm = {"type": "layer", "eps": m.eps, "bias": False}
    attention: dict[str, Any] = {"type": "attention", "n_heads": m.n_heads, "mask": "causal", "position": ["alibi"]}
    if m.scale is not None:
        attention["scale"] = m.scale
    mlp = {"type": "mlp", "d_ff": 4 * m.d_model, "activation": "gelu"}
    shared = vocabulary.shared(m.tied, head)
    out: dict[str, Any] = {
        "vocab_size": m.vocab_size,
        "max_length": m.max_length,
        "stacks": {
            STACK: {
                "d_model": m.d_model,
                "input": {"sum": [{"type": "tokens", **shared}]},
                "blocks": {"main": [{"pre_norm": norm, "op": attention}, {"pre_norm": norm, "op": mlp}]},
                "layers": entries(["main"] * m.n_layers),
                "final_norm": norm,
            }
        },
    }
    return out | ({"head": {"logits": {"type": "linear", **shared}}} if head == "tokens" else {})


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    layer, ours = "transformer.blocks.{}", f"{STACK}.{{}}"
    parts = {
        "attention.o": "attn.out_proj",
        "attention.pre_norm": "norm_1",
        "mlp.pre_norm": "norm_2",
        "mlp.up": "ffn.up_proj",
        "mlp.down": "ffn.down_proj",
    }
    templates: dict[str, Recipe] = {
        f"{ours}.{path}.weight": Stored(f"{layer}.{name}.weight") for path, name in parts.items()
    }
    for i, part in enumerate(("q", "k", "v")):
        joined = Stored(f"{layer}.attn.Wqkv.weight")  # (3 d_model, d_model)
        templates[f"{ours}.attention.{part}.weight"] = Slice(joined, 0, i * m.d_model, (i + 1) * m.d_model)
    between: dict[str, Recipe] = {
        **per_layer(m.n_layers, templates),
        f"{STACK}.final_norm.weight": Stored("transformer.norm_f.weight"),
    }
    return vocabulary.with_ends(
        between, tied=m.tied, head=head, stack=STACK, embedding="transformer.wte.weight", logits="lm_head.weight",
        prefix="transformer.",
    )  # fmt: skip


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    bodies = [stack.bodies[layer.body] for layer in stack.layers]
    if not bodies or len(bodies[0]) != 2 or resolved.max_length is None:
        raise CannotSay("a layer is one attention and one MLP, and there is a maximum length")
    attention = operator(bodies[0][0], Attention)
    scaled = isclose(attention.scale, 1 / sqrt(attention.d_head))
    return {
        "vocab_size": resolved.vocab_size,
        "max_seq_len": resolved.max_length,
        "d_model": stack.d_model,
        "n_layers": len(bodies),
        "n_heads": attention.n_heads,
        "layer_norm_epsilon": expect(LayerNorm, stack.final_norm, "the final norm").eps,
        "attn_config": {"softmax_scale": None if scaled else attention.scale},
        "tie_word_embeddings": is_tied(resolved),
    }


# What the training program did with memory and gradients; with linear biases nothing reads learned_pos_emb.
TRAINING_FIELDS = frozenset({
    "learned_pos_emb", "init_device", "embedding_fraction", "emb_pdrop", "verbose", "init_config", "tokenizer_name",
    "auto_map",
})  # fmt: skip

FAMILY = Family(
    model_type="mpt",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"MptForCausalLM": "tokens", "MptModel": "none"},
    inert=TRAINING_FIELDS,
)
