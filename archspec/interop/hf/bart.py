"""BART, and what mBART and Marian have in common with it: an encoder and a decoder over one table of words.

Defaults: transformers 5.23 `models/bart/configuration_bart.py` BartConfig; mBART's and Marian's are the same but for
ids and vocabularies. Norms and positions differ between the three; no field says so, the family does.
"""

from dataclasses import dataclass
from typing import Any

from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import expect, operator, spelling
from archspec.interop.recipe import Recipe, Reshape, Stored
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import Attention, Mlp, Tokens

STACKS = ("encoder", "decoder")
BOTH = ("weight", "bias")
EPS = 1e-5  # torch's LayerNorm, never set
OFFSET = 2  # rows of the table of positions before the first one


@dataclass(frozen=True)
class Kind:
    """What the family's code says and its fields do not."""

    pre_norm: bool = False  # before each branch and once at the end, or after each sum
    learned: bool = True  # positions in a table and a norm on the sum, or sinusoids and none


@dataclass(frozen=True)
class Half:
    n_layers: int
    n_heads: int
    d_ff: int


@dataclass(frozen=True)
class Bart:
    kind: Kind
    vocab_size: int
    max_length: int
    d_model: int
    activation: str
    scaled: bool  # words by sqrt(d_model)
    halves: dict[str, Half]


def read(config: Config, kind: Kind, vocab_size: int) -> Bart:
    config.fixed("is_decoder", False)
    config.fixed("tie_word_embeddings", True)
    config.fixed("add_bias_logits", False)
    config.fixed("normalize_before", kind.pre_norm)
    config.fixed("add_final_layer_norm", kind.pre_norm)
    config.fixed("normalize_embedding", kind.learned)
    config.fixed("static_position_embeddings", not kind.learned)
    config.fixed("extra_pos_embeddings", OFFSET if kind.learned else config.get("extra_pos_embeddings"))
    d_model = config.integer("d_model", 1024)
    halves = {
        stack: Half(
            n_layers=config.layers(f"{stack}_layers", 12),
            n_heads=config.integer(f"{stack}_attention_heads", 16),
            d_ff=config.integer(f"{stack}_ffn_dim", 4096),
        )
        for stack in STACKS
    }
    for stack, half in halves.items():
        if d_model % half.n_heads:
            raise config.fail("d_model", f"{d_model} is not a multiple of {stack}_attention_heads = {half.n_heads}")
    config.fixed("num_hidden_layers", halves["encoder"].n_layers)  # written beside by older releases
    return Bart(
        kind=kind,
        vocab_size=config.integer("vocab_size", vocab_size),
        max_length=config.integer("max_position_embeddings", 1024),
        d_model=d_model,
        activation=config.word("activation_function", "gelu", ACTIVATIONS),
        scaled=config.flag("scale_embedding", False),
        halves=halves,
    )


def spec(m: Bart, head: HeadKind) -> dict[str, Any]:
    out: dict[str, Any] = {
        "vocab_size": m.vocab_size,
        "max_length": m.max_length,
        "stacks": {stack: _stack(m, stack) for stack in STACKS},
    }
    if head == "tokens":
        out["head"] = {"logits": {"type": "linear", "weights": "/vocab", "bias": True}}
    return out


def _stack(m: Bart, name: str) -> dict[str, Any]:
    half, decodes = m.halves[name], name == "decoder"
    norm = {"type": "layer", "eps": EPS}
    words: dict[str, Any] = {"type": "tokens", "weights": "/vocab"}
    if m.scaled:
        words["scale"] = "=sqrt(d_model)"
    if decodes:
        words["name"] = "decoder_input_ids"
    position: dict[str, Any] = {"type": "sinusoid", "layout": "halves"}
    if m.kind.learned:
        position = {"type": "learned", "size": m.max_length + OFFSET, "offset": OFFSET}
    heads = {"type": "attention", "n_heads": half.n_heads, "bias": ["q", "k", "v", "o"]}
    own = heads | ({"mask": "causal"} if decodes else {})
    cross = [heads | {"source": "encoder"}] if decodes else []
    mlp = {"type": "mlp", "d_ff": half.d_ff, "activation": m.activation, "bias": ["up", "down"]}
    place = "pre_norm" if m.kind.pre_norm else "sum_norm"
    return {
        "d_model": m.d_model,
        "input": {
            **({"name": "target"} if decodes else {}),
            "sum": [words, position],
            **({"then": [norm]} if m.kind.learned else {}),
        },
        "blocks": {"main": [{"op": op, place: norm} for op in (own, *cross, mlp)]},
        "layers": entries(["main"] * half.n_layers),
        **({"final_norm": norm} if m.kind.pre_norm else {}),
    }


def tensors(m: Bart, head: HeadKind) -> TensorMap:
    shared = Stored("model.shared.weight")
    recipes: dict[str, Recipe] = {"vocab.weight": shared}
    place = "pre_norm" if m.kind.pre_norm else "sum_norm"
    for stack in STACKS:
        layer, ours, text = f"model.{stack}.layers.{{}}", f"{stack}.{{}}", "text" if stack == "encoder" else "target"
        parts = {"mlp.up": "fc1", "mlp.down": "fc2", f"mlp.{place}": "final_layer_norm"}
        attentions = {"attention": "self_attn"} | ({"attention_2": "encoder_attn"} if stack == "decoder" else {})
        for path, name in attentions.items():
            parts |= {f"{path}.{part}": f"{name}.{part}_proj" for part in "qkv"}
            parts |= {f"{path}.o": f"{name}.out_proj", f"{path}.{place}": f"{name}_layer_norm"}
        templates: dict[str, Recipe] = {
            f"{ours}.{path}.{role}": Stored(f"{layer}.{name}.{role}") for path, name in parts.items() for role in BOTH
        }
        recipes |= per_layer(m.halves[stack].n_layers, templates)
        if m.kind.learned:
            recipes[f"{stack}.{text}.learned.weight"] = Stored(f"model.{stack}.embed_positions.weight")
            for role in BOTH:
                recipes[f"{stack}.{text}.then.0.{role}"] = Stored(f"model.{stack}.layernorm_embedding.{role}")
        if m.kind.pre_norm:
            for role in BOTH:
                recipes[f"{stack}.final_norm.{role}"] = Stored(f"model.{stack}.layer_norm.{role}")
    copies = {f"model.{stack}.embed_tokens.weight": shared.name for stack in STACKS}
    # Sinusoids follow from the configuration; older releases stored them.
    unread = () if m.kind.learned else tuple(f"model.{stack}.embed_positions.weight" for stack in STACKS)
    if head == "tokens":
        copies["lm_head.weight"] = shared.name
        recipes["head.logits.bias"] = Reshape(Stored("final_logits_bias"), (m.vocab_size,))  # stored as (1, vocabulary)
    else:
        unread += ("lm_head.weight", "final_logits_bias")
    return TensorMap(recipes, prefix="model.", unread=unread, copies=copies)


def fields(resolved: Resolved) -> dict[str, Any]:
    """The fields of config.json that the three families share."""
    if set(resolved.stacks) != set(STACKS) or resolved.output != "decoder" or resolved.max_length is None:
        raise CannotSay("there are two stacks, encoder and decoder, and a maximum length")
    out: dict[str, Any] = {
        "vocab_size": resolved.vocab_size,
        "max_position_embeddings": resolved.max_length,
        "d_model": resolved.stacks["encoder"].d_model,
    }
    for name in STACKS:
        stack = resolved.stacks[name]
        if not stack.layers or len(stack.inputs) != 1:
            raise CannotSay("each stack has one input, and layers")
        body = stack.bodies[0]
        attention, mlp = operator(body[0], Attention), operator(body[-1], Mlp)
        words = expect(Tokens, stack.inputs[0].sum[0], "the first part of the input")
        out |= {
            f"{name}_layers": len(stack.layers),
            f"{name}_attention_heads": attention.n_heads,
            f"{name}_ffn_dim": mlp.d_ff,
            "activation_function": spelling(mlp.activation),
            "scale_embedding": words.scale != 1,
        }
    return out


INERT = frozenset({
    "dropout", "activation_dropout", "classif_dropout", "init_std", "encoder_layerdrop", "decoder_layerdrop",
    "force_bos_token_to_be_generated",
})  # fmt: skip
BART = Kind()


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return spec(read(config, BART, 50265), head)


def to_tensors(config: Config, head: HeadKind) -> TensorMap:
    return tensors(read(config, BART, 50265), head)


FAMILY = Family(
    model_type="bart",
    spec=to_spec,
    tensors=to_tensors,
    config=fields,
    heads={"BartForConditionalGeneration": "tokens", "BartModel": "none"},
    inert=INERT,
    encoder_decoder=True,
)
