"""Falcon: one attention and one MLP, beside each other or one after the other; q, k and v joined in one of three ways.

Defaults and layouts: transformers 5.23 `models/falcon/configuration_falcon.py` FalconConfig and `modeling_falcon.py`
(`FalconDecoderLayer`, `_split_heads`). The new decoder (40B, 11B) joins rows by kv head, the old one by query head
(RW) or with one k and one v behind all queries (7B).
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
from archspec.interop.hf.rope import read_rope, write_rope
from archspec.interop.recipe import Recipe, Stored
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import Alibi, LayerNorm, Rope

STACK = "decoder"
BOTH = ("weight", "bias")


@dataclass(frozen=True)
class Falcon:
    """`rope` is None with linear biases. `norms`: 0 for one branch after the other, else how many feed two branches."""

    vocab_size: int
    max_length: int
    d_model: int
    d_ff: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    norms: int
    eps: float
    activation: str
    rope: dict[str, Any] | None
    bias: bool
    tied: bool

    @property
    def d_head(self) -> int:
        return self.d_model // self.n_heads


def read(config: Config) -> Falcon:
    d_model = config.integer("n_embed", config.integer("hidden_size", 4544))
    n_heads = config.integer("num_attention_heads", 71)
    if d_model % n_heads:
        raise config.fail("hidden_size", f"{d_model} is not a multiple of num_attention_heads = {n_heads}")
    max_length = config.integer("max_position_embeddings", 2048)
    config.fixed("apply_residual_connection_post_layernorm", False)
    alibi = config.flag("alibi", False)
    for field in ("rope_parameters", "rope_theta", "rope_scaling"):
        config.get(field)  # not read where distances are biases
    return Falcon(
        vocab_size=config.integer("vocab_size", 65024),
        max_length=max_length,
        d_model=d_model,
        d_ff=config.integer("ffn_hidden_size", 4 * d_model, null=True),
        n_layers=config.layers("num_hidden_layers", 32),
        n_heads=n_heads,
        n_kv_heads=_kv_heads(config, n_heads),
        norms=_norms(config),
        eps=config.number("layer_norm_epsilon", 1e-5),
        activation=config.word("activation", "gelu", ACTIVATIONS),
        rope=None if alibi else read_rope(config, max_length, d_model // n_heads),
        bias=config.flag("bias", False),
        tied=config.flag("tie_word_embeddings", True),
    )


def _kv_heads(config: Config, n_heads: int) -> int:
    said = config.integer("num_kv_heads", n_heads, null=True)
    multi_query = config.flag("multi_query", True)
    if not config.flag("new_decoder_architecture", False):
        if not multi_query and said != n_heads:
            raise config.fail("num_kv_heads", f"{said} is not num_attention_heads = {n_heads}, as without multi_query")
        return 1 if multi_query else n_heads
    if n_heads % said:
        raise config.fail("num_kv_heads", f"{said} does not divide num_attention_heads = {n_heads}")
    return said


def _norms(config: Config) -> int:
    parallel = config.flag("parallel_attn", True)
    if not config.flag("new_decoder_architecture", False):
        config.fixed("num_ln_in_parallel_attn", None, 1)
        return int(parallel)
    config.fixed("parallel_attn", True)
    config.fixed("num_ln_in_parallel_attn", None, 1, 2)
    return config.integer("num_ln_in_parallel_attn", 2, null=True)


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config)
    norm = {"type": "layer", "eps": m.eps}
    # transformers adds the linear bias before it scales the scores, and rounds it to bfloat16 on the way.
    position = m.rope or {"type": "alibi", "at": "before_scale", "computed_in": "bf16"}
    attention: dict[str, Any] = {"type": "attention", "n_heads": m.n_heads, "n_kv_heads": m.n_kv_heads}
    attention |= {"mask": "causal", "position": [position]}
    mlp: dict[str, Any] = {"type": "mlp", "d_ff": m.d_ff, "activation": m.activation}
    if m.bias:
        attention["bias"], mlp["bias"] = ["q", "k", "v", "o"], ["up", "down"]
    block: list[Any] = [{"pre_norm": norm, "op": attention}, {"pre_norm": norm, "op": mlp}]
    if m.norms == 1:
        block = [{"parallel": [{"op": attention}, {"op": mlp}], "pre_norm": norm}]
    elif m.norms == 2:
        block = [{"parallel": block}]
    shared = vocabulary.shared(m.tied, head)
    out: dict[str, Any] = {
        "vocab_size": m.vocab_size,
        "max_length": m.max_length,
        "stacks": {
            STACK: {
                "d_model": m.d_model,
                "input": {
                    "sum": [{"type": "tokens", **shared}],
                    **({} if m.rope else {"positions": "count_mask"}),
                },
                "blocks": {"main": block},
                "layers": entries(["main"] * m.n_layers),
                "final_norm": norm,
            }
        },
    }
    return out | ({"head": {"logits": {"type": "linear", **shared}}} if head == "tokens" else {})


# How many norms feed the branches -> (path of ours, name of theirs).
NORMS = {
    0: {"attention.pre_norm": "input_layernorm", "mlp.pre_norm": "post_attention_layernorm"},
    1: {"pre_norm": "input_layernorm"},
    2: {"attention.pre_norm": "ln_attn", "mlp.pre_norm": "ln_mlp"},
}


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    layer, ours = "transformer.h.{}", f"{STACK}.{{}}"
    dense = {"attention.o": "self_attention.dense", "mlp.up": "mlp.dense_h_to_4h", "mlp.down": "mlp.dense_4h_to_h"}
    widths = {"weight": m.d_model, "bias": None} if m.bias else {"weight": m.d_model}
    templates: dict[str, Recipe] = qkv_of_roles(
        f"{ours}.attention", f"{layer}.self_attention.query_key_value", widths,
        groups=m.n_kv_heads, per_group=m.n_heads // m.n_kv_heads, d_head=m.d_head,
    )  # fmt: skip
    for path, name in dense.items():
        templates |= {f"{ours}.{path}.{role}": Stored(f"{layer}.{name}.{role}") for role in widths}
    for path, name in NORMS[m.norms].items():
        templates |= {f"{ours}.{path}.{role}": Stored(f"{layer}.{name}.{role}") for role in BOTH}
    between: dict[str, Recipe] = {
        **per_layer(m.n_layers, templates),
        **{f"{STACK}.final_norm.{role}": Stored(f"transformer.ln_f.{role}") for role in BOTH},
    }
    return vocabulary.with_ends(
        between, tied=m.tied, head=head, stack=STACK, embedding="transformer.word_embeddings.weight",
        logits="lm_head.weight", prefix="transformer.",
    )  # fmt: skip


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    attention, mlp, together = attention_and_mlp(resolved)
    if len(attention.position) != 1:
        raise CannotSay("there is one kind of position")
    position = attention.position[0]
    rope = {} if isinstance(position, Alibi) else write_rope(expect(Rope, position, "the position"), attention.d_head)
    # What the old decoder cannot say: two norms beside each other, or kv heads shared by some query heads.
    two_norms = together is not None and together.pre_norm is None
    new = two_norms or attention.n_kv_heads not in (1, attention.n_heads)
    layout: dict[str, Any] = {
        "new_decoder_architecture": new,
        "multi_query": attention.n_kv_heads == 1,
        "num_kv_heads": attention.n_kv_heads if new else attention.n_heads,
        "parallel_attn": together is not None,
    }
    if new:
        layout["num_ln_in_parallel_attn"] = 2 if two_norms else 1
    return {
        "vocab_size": resolved.vocab_size,
        "max_position_embeddings": resolved.max_length,
        "hidden_size": stack.d_model,
        "ffn_hidden_size": mlp.d_ff,
        "num_hidden_layers": len(stack.layers),
        "num_attention_heads": attention.n_heads,
        "layer_norm_epsilon": expect(LayerNorm, stack.final_norm, "the final norm").eps,
        "activation": spelling(mlp.activation),
        "alibi": isinstance(position, Alibi),
        "bias": bool(attention.bias),
        "tie_word_embeddings": is_tied(resolved),
        **layout,
        **({"rope_parameters": rope} if rope else {}),
    }


FAMILY = Family(
    model_type="falcon",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"FalconForCausalLM": "tokens", "FalconModel": "none"},
    inert=frozenset({"auto_map"}),
)
