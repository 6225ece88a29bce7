"""T5 and Flan-T5: bucketed distances shared by all layers of a stack, unscaled scores, RMS norms before each branch.

Defaults: transformers 5.23 `models/t5/configuration_t5.py` T5Config. There a file that unties the head also leaves its
input unscaled (T5 1.1, Flan), and releases from 5 on write the second fact as `scale_decoder_outputs`.
"""

from dataclasses import dataclass
from typing import Any

from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import expect, is_tied, operator, spelling
from archspec.interop.recipe import Recipe, Stored
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import Attention, GatedMlp, LinearLogits, LogBuckets, Mlp, RelativeBias, RmsNorm


@dataclass(frozen=True)
class T5:
    """`max_length` is None where the file does not say how long the training texts were: nothing else bounds them."""

    vocab_size: int
    max_length: int | None
    d_model: int
    d_head: int
    d_ff: int
    layers: dict[str, int]
    n_heads: int
    buckets: int
    farthest: int
    eps: float
    activation: str
    gated: bool
    tied: bool
    scaled: bool  # what the head reads, by 1/sqrt(d_model)


def read(config: Config) -> T5:
    config.fixed("is_decoder", False)
    n_layers = config.layers("num_layers", config.layers("num_hidden_layers", 6))
    tied = config.flag("tie_word_embeddings", True)
    activation, gated = _activation(config)
    return T5(
        vocab_size=config.integer("vocab_size", 32128),
        max_length=None if config.get("n_positions") is None else config.integer("n_positions"),
        d_model=config.integer("d_model", 512),
        d_head=config.integer("d_kv", 64),
        d_ff=config.integer("d_ff", 2048),
        layers={"encoder": n_layers, "decoder": config.layers("num_decoder_layers", n_layers, null=True)},
        n_heads=config.integer("num_heads", 8),
        buckets=config.integer("relative_attention_num_buckets", 32),
        farthest=config.integer("relative_attention_max_distance", 128),
        eps=config.number("layer_norm_epsilon", 1e-6),
        activation=activation,
        gated=gated,
        tied=tied,
        scaled=config.flag("scale_decoder_outputs", tied),
    )


def _activation(config: Config) -> tuple[str, bool]:
    """`feed_forward_proj` says both, "gated-" included; its gated GELU has always been the tanh one."""
    said = config.get("feed_forward_proj", "relu")
    if not isinstance(said, str):
        raise config.fail("feed_forward_proj", f"found {said!r}, expected an activation or gated- and one")
    name = said.removeprefix("gated-")
    if said == "gated-gelu":
        name = "gelu_new"
    if name not in ACTIVATIONS:
        known = ", ".join(sorted(ACTIVATIONS))
        raise config.fail("feed_forward_proj", f"found {said!r}, understood are {known}, each also after gated-")
    return config.word("dense_act_fn", name, ACTIVATIONS), config.flag("is_gated_act", said.startswith("gated-"))


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return names(read(config), head, "DenseReluDense")


def spec(m: T5, head: HeadKind) -> dict[str, Any]:
    out: dict[str, Any] = {
        "vocab_size": m.vocab_size,
        **({} if m.max_length is None else {"max_length": m.max_length}),
        "stacks": {"encoder": _stack(m, "encoder"), "decoder": _stack(m, "decoder")},
    }
    if head == "tokens":
        logits: dict[str, Any] = {"type": "linear", **({"weights": "/vocab"} if m.tied else {})}
        out["head"] = {"logits": logits | ({"scale": "=1/sqrt(d_model)"} if m.scaled else {})}
    return out


def _stack(m: T5, name: str) -> dict[str, Any]:
    decodes = name == "decoder"
    norm = {"type": "rms", "eps": m.eps}
    heads = {"type": "attention", "n_heads": m.n_heads, "d_head": m.d_head}
    distance: dict[str, Any] = {"type": "log_buckets", "buckets": m.buckets, "max": m.farthest}
    bias = {
        "type": "relative_bias",
        "weights": f"/{name}_bias",
        "distance": distance | ({"sides": 1} if decodes else {}),
    }
    own = heads | ({"mask": "causal"} if decodes else {}) | {"position": [bias], "scale": 1}
    mlp = {"type": "gated_mlp" if m.gated else "mlp", "d_ff": m.d_ff, "activation": m.activation}
    cross = [heads | {"source": "encoder", "scale": 1}] if decodes else []
    tokens = {"type": "tokens", "weights": "/vocab", **({"name": "decoder_input_ids"} if decodes else {})}
    return {
        "d_model": m.d_model,
        "input": {**({"name": "target"} if decodes else {}), "sum": [tokens]},
        "blocks": {"main": [{"pre_norm": norm, "op": op} for op in (own, *cross, mlp)]},
        "layers": entries(["main"] * m.layers[name]),
        "final_norm": norm,
    }


def names(m: T5, head: HeadKind, mlp: str) -> TensorMap:
    """`mlp` is the attribute that holds the matrices of the feed-forward sublayer."""
    shared = Stored("shared.weight")
    recipes: dict[str, Recipe] = {"vocab.weight": shared}
    for stack, n_layers in m.layers.items():
        first = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        recipes[f"{stack}_bias.weight"] = Stored(first)
        recipes |= per_layer(n_layers, _layer(m, stack, mlp))
        recipes[f"{stack}.final_norm.weight"] = Stored(f"{stack}.final_layer_norm.weight")
    copies = {f"{stack}.embed_tokens.weight": shared.name for stack in m.layers}
    if head == "tokens" and m.tied:
        copies["lm_head.weight"] = shared.name
    elif head == "tokens":
        recipes["head.logits.weight"] = Stored("lm_head.weight")
    # The first release stored a table of distances for the cross-attention too, which has none.
    unread = ("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",)
    return TensorMap(recipes, unread=unread if head == "tokens" else (*unread, "lm_head.weight"), copies=copies)


def _layer(m: T5, stack: str, name: str) -> dict[str, Recipe]:
    """Sublayers are numbered: attention, in the decoder cross-attention, MLP."""
    ours, theirs = f"{stack}.{{}}", f"{stack}.block.{{}}.layer"
    sublayers = {"attention": "SelfAttention"}
    if stack == "decoder":
        sublayers["attention_2"] = "EncDecAttention"
    out: dict[str, Recipe] = {}
    for i, (path, attention) in enumerate(sublayers.items()):
        out[f"{ours}.{path}.pre_norm.weight"] = Stored(f"{theirs}.{i}.layer_norm.weight")
        for part in "qkvo":
            out[f"{ours}.{path}.{part}.weight"] = Stored(f"{theirs}.{i}.{attention}.{part}.weight")
    mlp = f"{ours}.{'gated_mlp' if m.gated else 'mlp'}"
    last = f"{theirs}.{len(sublayers)}"
    parts = {"gate": "wi_0", "up": "wi_1", "down": "wo"} if m.gated else {"up": "wi", "down": "wo"}
    out[f"{mlp}.pre_norm.weight"] = Stored(f"{last}.layer_norm.weight")
    return out | {f"{mlp}.{part}.weight": Stored(f"{last}.{name}.{matrix}.weight") for part, matrix in parts.items()}


def to_config(resolved: Resolved) -> dict[str, Any]:
    return measured(resolved, None)


def measured(resolved: Resolved, mlp: Mlp | None) -> dict[str, Any]:
    """The fields that the spec determines; `mlp` stands for that of each layer where there may be experts instead."""
    if set(resolved.stacks) != {"encoder", "decoder"} or resolved.output != "decoder":
        raise CannotSay("there are two stacks, encoder and decoder")
    encoder, decoder = resolved.stacks["encoder"], resolved.stacks["decoder"]
    if not encoder.layers or len(encoder.bodies[0]) != 2:
        raise CannotSay("a layer of the encoder is one attention and one MLP")
    attention = operator(encoder.bodies[0][0], Attention)
    feed = mlp or operator(encoder.bodies[0][1], object)
    if not isinstance(feed, (Mlp, GatedMlp)) or len(attention.position) != 1:
        raise CannotSay("there is an MLP, and one kind of position")
    distance = expect(LogBuckets, expect(RelativeBias, attention.position[0], "the position").distance, "the distance")
    gated, name = isinstance(feed, GatedMlp), spelling(feed.activation)
    length = {} if resolved.max_length is None else {"n_positions": resolved.max_length}
    return length | {
        "vocab_size": resolved.vocab_size,
        "d_model": encoder.d_model,
        "d_kv": attention.d_head,
        "d_ff": feed.d_ff,
        "num_layers": len(encoder.layers),
        "num_decoder_layers": len(decoder.layers),
        "num_heads": attention.n_heads,
        "relative_attention_num_buckets": distance.buckets,
        "relative_attention_max_distance": distance.max,
        "layer_norm_epsilon": expect(RmsNorm, encoder.final_norm, "the final norm").eps,
        "feed_forward_proj": ("gated-gelu" if name == "gelu_new" else f"gated-{name}") if gated else name,
        "dense_act_fn": name,
        "is_gated_act": gated,
        "tie_word_embeddings": resolved.head is None or is_tied(resolved),
        "scale_decoder_outputs": resolved.head is None
        or expect(LinearLogits, resolved.head.logits, "the head").scale != 1,
    }


FAMILY = Family(
    model_type="t5",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"T5ForConditionalGeneration": "tokens", "T5WithLMHeadModel": "tokens", "T5Model": "none"},
    inert=frozenset({"dropout_rate"}),
    encoder_decoder=True,
)
