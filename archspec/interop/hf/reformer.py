"""Reformer: two streams in turn, attention within neighbouring chunks or within buckets of a hash.

Defaults and names: transformers 5.23 `models/reformer/configuration_reformer.py` ReformerConfig and
`modeling_reformer.py`. Without `hash_seed` that code draws its rotations anew at every call; the spec has to name one
seed and takes 0. It stores a bias of the head that 5.23 never adds; releases before 5 do, and so does the spec.
"""

from dataclasses import dataclass
from typing import Any

from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import all_of, expect, spelling
from archspec.interop.recipe import Recipe, Reshape, Stored
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import And, Attention, Axial, Branch, LayerNorm, LshAttention, Mlp, Window

STACK = "decoder"
BOTH = ("weight", "bias")


@dataclass(frozen=True)
class Reformer:
    """`hashed`: which layers attend within buckets. `axes`: sizes and widths of the tables of positions, or None."""

    vocab_size: int
    max_length: int
    d_model: int
    d_ff: int
    n_heads: int
    d_head: int
    eps: float
    activation: str
    axes: tuple[tuple[int, int], ...] | None
    hashed: tuple[bool, ...]


def read(config: Config) -> Reformer:
    # An encoder's chunks see each other round the ends of the text, for which there are no words.
    if not config.flag("is_decoder", False):
        raise config.fail("is_decoder", "only decoders are understood here (is_decoder = true)")
    config.fixed("tie_word_embeddings", False)
    layers = config.get("attn_layers", ["local", "lsh", "local", "lsh", "local", "lsh"])
    if not isinstance(layers, list) or not layers or not set(layers) <= {"local", "lsh"}:
        raise config.fail("attn_layers", f"found {layers!r}, expected a list of 'local' and 'lsh'")
    config.fixed("num_hidden_layers", len(layers))
    d_model = config.integer("hidden_size", 256)
    return Reformer(
        vocab_size=config.integer("vocab_size", 320),
        max_length=config.integer("max_position_embeddings", 4096),
        d_model=d_model,
        d_ff=config.integer("feed_forward_size", 512),
        n_heads=config.integer("num_attention_heads", 12),
        d_head=config.integer("attention_head_size", 64),
        eps=config.number("layer_norm_eps", 1e-12),
        activation=config.word("hidden_act", "relu", ACTIVATIONS),
        axes=_axes(config, d_model),
        hashed=tuple(layer == "lsh" for layer in layers),
    )


def _axes(config: Config, d_model: int) -> tuple[tuple[int, int], ...] | None:
    on = config.flag("axial_pos_embds", True)
    sizes, widths = config.get("axial_pos_shape", [64, 64]), config.get("axial_pos_embds_dim", [64, 192])
    if not on:
        return None
    for name, found in (("axial_pos_shape", sizes), ("axial_pos_embds_dim", widths)):
        whole = isinstance(found, list) and len(found) == 2
        if not whole or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in found):
            raise config.fail(name, f"found {found!r}, expected two whole numbers")
    if sum(widths) != d_model:
        raise config.fail("axial_pos_embds_dim", f"{widths} do not add up to hidden_size = {d_model}")
    return tuple(zip(sizes, widths, strict=True))


def _attentions(config: Config, m: Reformer) -> dict[str, dict[str, Any]]:
    heads = {"n_heads": m.n_heads, "d_head": m.d_head}
    chunk = config.integer("local_attn_chunk_length", 64)
    behind = config.integer("local_num_chunks_before", 1, least=0) + 1
    config.get("local_num_chunks_after")  # later chunks are not seen
    near = {"type": "window", "block": chunk, "behind": behind}
    local = {"type": "attention", **heads, "mask": {"type": "and", "of": ["causal", near]}}
    hashing = {
        "chunk": config.integer("lsh_attn_chunk_length", 64),
        "behind": config.integer("lsh_num_chunks_before", 1, least=0) + 1,
        "ahead": config.integer("lsh_num_chunks_after", 0, least=0),
        "rounds": config.integer("num_hashes", 1),
        "seed": config.integer("hash_seed", 0, least=0, null=True),
    }
    buckets = config.get("num_buckets")
    if any(m.hashed):
        if isinstance(buckets, list) and len(buckets) == 1:
            buckets = buckets[0]
        if isinstance(buckets, bool) or not isinstance(buckets, int) or buckets < 2 or buckets % 2:
            raise config.fail(
                "num_buckets",
                f"found {buckets!r}: understood is one even number (without it the first text decides, and a list "
                "hashes twice)",
            )
        hashing["buckets"] = buckets
    return {"local": local, "lsh": {"type": "lsh_attention", **heads, **hashing}}


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config)
    norm = {"type": "layer", "eps": m.eps}
    mlp = {"type": "mlp", "d_ff": m.d_ff, "activation": m.activation, "bias": ["up", "down"]}
    position: dict[str, Any] = {"type": "learned", "size": m.max_length}
    if m.axes:
        position = {"type": "axial", "shape": [n for n, _ in m.axes], "widths": [width for _, width in m.axes]}
    kinds = ["lsh" if hashed else "local" for hashed in m.hashed]
    blocks: dict[str, Any] = {}
    for kind, op in _attentions(config, m).items():
        if kind in kinds and blocks:
            blocks[kind] = {"like": "local", "set": {"/0/op": op}}
        elif kind in kinds:
            blocks[kind] = [
                {"read": "b", "write": "a", "pre_norm": norm, "op": op},
                {"read": "a", "write": "b", "pre_norm": norm, "op": mlp},
            ]
    out: dict[str, Any] = {
        "vocab_size": m.vocab_size,
        "max_length": m.max_length,
        "stacks": {
            STACK: {
                "d_model": m.d_model,
                "input": {"sum": ["tokens", position]},
                "streams": {"a": "text", "b": "text"},
                "blocks": blocks,
                "layers": entries(kinds),
                "final_read": {"concat": ["a", "b"]},
                "final_norm": norm,
            }
        },
    }
    return out | ({"head": {"logits": {"type": "linear", "bias": True}}} if head == "tokens" else {})


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    layer, ours = "reformer.encoder.layers.{}", f"{STACK}.{{}}"
    mlp = {"pre_norm": "layer_norm", "up": "dense.dense", "down": "output.dense"}
    templates: dict[str, Recipe] = {
        f"{ours}.mlp.{path}.{role}": Stored(f"{layer}.feed_forward.{name}.{role}")
        for path, name in mlp.items()
        for role in BOTH
    }
    embeddings, text = "reformer.embeddings", f"{STACK}.text"
    recipes: dict[str, Recipe] = {
        f"{text}.tokens.weight": Stored(f"{embeddings}.word_embeddings.weight"),
        **per_layer(len(m.hashed), templates),
        **{f"{STACK}.final_norm.{role}": Stored(f"reformer.encoder.layer_norm.{role}") for role in BOTH},
    }
    if m.axes:
        for i, axis in enumerate(m.axes):
            stored = Stored(f"{embeddings}.position_embeddings.weights.{i}")  # one axis of size one beside each
            recipes[f"{text}.axial.axis_{i}.weight"] = Reshape(stored, axis)
    else:
        recipes[f"{text}.learned.weight"] = Stored(f"{embeddings}.position_embeddings.embedding.weight")
    for i, hashed in enumerate(m.hashed):
        path, theirs = f"{STACK}.{i}.{'lsh_attention' if hashed else 'attention'}", f"reformer.encoder.layers.{i}"
        parts = {"qk": "query_key", "v": "value"} if hashed else {"q": "query", "k": "key", "v": "value"}
        for part, name in parts.items():
            recipes[f"{path}.{part}.weight"] = Stored(f"{theirs}.attention.self_attention.{name}.weight")
        recipes[f"{path}.o.weight"] = Stored(f"{theirs}.attention.output.dense.weight")
        for role in BOTH:
            recipes[f"{path}.pre_norm.{role}"] = Stored(f"{theirs}.attention.layer_norm.{role}")
    if head == "tokens":
        recipes |= {"head.logits.weight": Stored("lm_head.decoder.weight"), "head.logits.bias": Stored("lm_head.bias")}
    return TensorMap(
        recipes,
        prefix="reformer.",
        unread=("reformer.encoder.layers.*.mask_value_*", *(() if head == "tokens" else ("lm_head.*",))),
        copies={"lm_head.decoder.bias": "lm_head.bias"} if head == "tokens" else {},
    )


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    mlp = all_of(resolved, Mlp)[0]
    ops = [expect(Branch, stack.bodies[layer.body][0], "a step").op for layer in stack.layers]
    if resolved.max_length is None or len(stack.inputs) != 1 or len(stack.inputs[0].sum) != 2:
        raise CannotSay("the input is words and positions, and there is a maximum length")
    position = stack.inputs[0].sum[1]
    fields: dict[str, Any] = {
        "vocab_size": resolved.vocab_size,
        "max_position_embeddings": resolved.max_length,
        "hidden_size": stack.d_model,
        "feed_forward_size": mlp.d_ff,
        "hidden_act": spelling(mlp.activation),
        "layer_norm_eps": expect(LayerNorm, stack.final_norm, "the final norm").eps,
        "is_decoder": True,
        "axial_pos_embds": isinstance(position, Axial),
        "attn_layers": ["lsh" if isinstance(op, LshAttention) else "local" for op in ops],
    }
    if isinstance(position, Axial):
        fields |= {"axial_pos_shape": list(position.shape), "axial_pos_embds_dim": list(position.widths)}
    for op in ops:
        if isinstance(op, LshAttention):
            fields |= {
                "lsh_attn_chunk_length": op.chunk,
                "lsh_num_chunks_before": op.behind - 1,
                "lsh_num_chunks_after": op.ahead,
                "num_hashes": op.rounds,
                "num_buckets": op.buckets,
                "hash_seed": op.seed,
            }
            attention: Attention | LshAttention = op
        else:
            attention = expect(Attention, op, "the operator")
            mask = expect(And, attention.mask, "the mask")
            near = next((part for part in mask.of if isinstance(part, Window)), None)
            window = expect(Window, near, "a part of the mask")
            fields |= {"local_attn_chunk_length": window.block, "local_num_chunks_before": (window.behind or 1) - 1}
        fields |= {"num_attention_heads": attention.n_heads, "attention_head_size": attention.d_head}
    return fields


FAMILY = Family(
    model_type="reformer",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"ReformerModelWithLMHead": "tokens", "ReformerModel": "none"},
    inert=frozenset({
        "axial_norm_std", "intermediate_size", "chunk_size_lm_head", "local_attention_probs_dropout_prob",
        "lsh_attention_probs_dropout_prob",
    }),
)  # fmt: skip
