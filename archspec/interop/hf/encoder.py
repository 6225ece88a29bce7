"""What BERT and RoBERTa have in common: norms after each residual sum, and a masked-language-model head.

Structure and tensor names follow transformers 5.23 `models/bert/modeling_bert.py`; RoBERTa's is generated from it.
"""

from dataclasses import dataclass
from typing import Any

from archspec.interop.hf import vocabulary
from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import expect, is_tied, operator, spelling
from archspec.interop.recipe import Recipe, Stored
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import Attention, Branch, Causal, LayerNorm, Learned, Mlp, Tokens, TokenTypes

STACK = "encoder"
PROJECTIONS = ("q", "k", "v", "o")


@dataclass(frozen=True)
class Encoder:
    """`pad_id` is None where positions are plain indices; else they count real ids and the table starts at pad_id."""

    vocab_size: int
    rows: int  # of the table of positions
    token_types: int
    d_model: int
    d_ff: int
    n_layers: int
    n_heads: int
    eps: float
    activation: str
    causal: bool
    tied: bool
    pad_id: int | None
    head_activation: str

    @property
    def max_length(self) -> int:
        return self.rows if self.pad_id is None else self.rows - self.pad_id - 1


@dataclass(frozen=True)
class HeadNames:
    """Where the head keeps its tensors: `{head}.{dense}.weight`."""

    dense: str
    norm: str
    decoder: str
    bias: str


DEFAULTS = {
    "hidden_size": 768, "num_attention_heads": 12, "num_hidden_layers": 12, "intermediate_size": 3072,
    "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
}  # fmt: skip


def read(
    config: Config,
    *,
    pad_id: int | None = None,
    head_activation: str | None = None,
    positions: tuple[str, ...] = ("absolute",),
    **defaults: Any,
) -> Encoder:
    """`defaults` are fields of the file, where the family's are not BERT's; `vocab_size` has to be among them."""
    config.fixed("position_embedding_type", *positions)
    absent: dict[str, Any] = DEFAULTS | defaults

    def integer(name: str) -> int:
        return config.integer(name, absent[name])

    d_model, n_heads = integer("hidden_size"), integer("num_attention_heads")
    if d_model % n_heads:
        raise config.fail("hidden_size", f"{d_model} is not a multiple of num_attention_heads = {n_heads}")
    activation = config.word("hidden_act", absent["hidden_act"], ACTIVATIONS)
    encoder = Encoder(
        vocab_size=integer("vocab_size"),
        rows=integer("max_position_embeddings"),
        token_types=integer("type_vocab_size"),
        d_model=d_model,
        d_ff=integer("intermediate_size"),
        n_layers=config.layers("num_hidden_layers", absent["num_hidden_layers"]),
        n_heads=n_heads,
        eps=config.number("layer_norm_eps", absent["layer_norm_eps"]),
        activation=activation,
        causal=config.flag("is_decoder", False),
        tied=config.flag("tie_word_embeddings", True),
        pad_id=pad_id,
        head_activation=head_activation or activation,
    )
    if encoder.max_length < 1:
        raise config.fail(
            "max_position_embeddings", f"{encoder.rows} rows leave no position after pad_token_id = {pad_id}"
        )
    return encoder


def spec(m: Encoder, head: HeadKind) -> dict[str, Any]:
    norm = {"type": "layer", "eps": m.eps}
    attention: dict[str, Any] = {"type": "attention", "n_heads": m.n_heads, "bias": list(PROJECTIONS)}
    if m.causal:
        attention["mask"] = "causal"
    mlp = {"type": "mlp", "d_ff": m.d_ff, "activation": m.activation, "bias": ["up", "down"]}
    shared = vocabulary.shared(m.tied, head)
    learned: dict[str, Any] = {"type": "learned", "size": m.rows}
    entrance: dict[str, Any] = {}
    if m.pad_id is not None:
        # Real ids count from 1 and padding is 0: with the offset the first token reads row pad_id + 1.
        entrance["positions"] = {"type": "count_nonpad", "pad_id": m.pad_id}
        learned["offset"] = m.pad_id
    entrance["sum"] = [{"type": "tokens", **shared}, {"type": "token_types", "size": m.token_types}, learned]
    entrance["then"] = [norm]
    out: dict[str, Any] = {
        "vocab_size": m.vocab_size,
        "max_length": m.max_length,
        "stacks": {
            STACK: {
                "d_model": m.d_model,
                "input": entrance,
                "blocks": {"main": [{"op": attention, "sum_norm": norm}, {"op": mlp, "sum_norm": norm}]},
                "layers": entries(["main"] * m.n_layers),
            }
        },
    }
    if head == "tokens":
        out["head"] = {
            "then": [
                {"type": "linear", "width": m.d_model, "bias": True},
                {"type": "activation", "kind": m.head_activation},
                norm,
            ],
            "logits": {"type": "linear", **shared, "bias": True},
        }
    return out


def tensors(m: Encoder, head: HeadKind, prefix: str, names: HeadNames) -> TensorMap:
    """`prefix` is the model's attribute in its head class: "bert." or "roberta."."""
    layer, ours = f"{prefix}encoder.layer.{{}}", f"{STACK}.{{}}"
    both = ("weight", "bias")
    parts = {
        "attention.q": "attention.self.query",
        "attention.k": "attention.self.key",
        "attention.v": "attention.self.value",
        "attention.o": "attention.output.dense",
        "attention.sum_norm": "attention.output.LayerNorm",
        "mlp.up": "intermediate.dense",
        "mlp.down": "output.dense",
        "mlp.sum_norm": "output.LayerNorm",
    }
    templates: dict[str, Recipe] = {
        f"{ours}.{path}.{role}": Stored(f"{layer}.{name}.{role}") for path, name in parts.items() for role in both
    }
    embeddings, text = f"{prefix}embeddings", f"{STACK}.text"
    tied = m.tied and head == "tokens"
    words = Stored(f"{embeddings}.word_embeddings.weight")
    recipes: dict[str, Recipe] = {
        "vocab.weight" if tied else f"{text}.tokens.weight": words,
        f"{text}.token_types.weight": Stored(f"{embeddings}.token_type_embeddings.weight"),
        f"{text}.learned.weight": Stored(f"{embeddings}.position_embeddings.weight"),
        **{f"{text}.then.0.{role}": Stored(f"{embeddings}.LayerNorm.{role}") for role in both},
        **per_layer(m.n_layers, templates),
    }
    copies: dict[str, str] = {}
    # The pooler feeds classifiers and next-sentence prediction, not the hidden states or the token head.
    unread = [
        f"{prefix}pooler.*",
        f"{embeddings}.position_ids",
        f"{embeddings}.token_type_ids",
        "cls.seq_relationship.*",
    ]
    if head == "tokens":
        for role in both:
            recipes[f"head.then.0.{role}"] = Stored(f"{names.dense}.{role}")
            recipes[f"head.then.2.{role}"] = Stored(f"{names.norm}.{role}")
        if tied:
            copies |= {f"{names.decoder}.weight": words.name, f"{names.decoder}.bias": names.bias}
            recipes["head.logits.bias"] = Stored(names.bias)
        else:
            # Untied, the decoder is an ordinary linear layer with a bias of its own, and the other one is left unread.
            recipes |= {f"head.logits.{role}": Stored(f"{names.decoder}.{role}") for role in both}
            unread.append(names.bias)
    else:
        unread += ["cls.*", "lm_head.*"]
    return TensorMap(
        recipes,
        prefix=prefix,
        unread=tuple(unread),
        copies=copies,
        # The names of the TensorFlow release, in checkpoints converted from it.
        old_endings={"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"},
    )


def fields(resolved: Resolved) -> dict[str, Any]:
    """The fields of config.json that all families of this kind share."""
    stack = resolved.stacks[resolved.output]
    if not stack.layers or len(stack.inputs) != 1 or any(len(body) != 2 for body in stack.bodies):
        raise CannotSay("one input, and layers of one attention and one MLP")
    entrance, (first, second) = stack.inputs[0], stack.bodies[0]
    attention, mlp = operator(first, Attention), operator(second, Mlp)
    if len(entrance.sum) < 2:
        raise CannotSay("the input is words, token types and perhaps learned positions")
    expect(Tokens, entrance.sum[0], "the first part")
    types = expect(TokenTypes, entrance.sum[1], "the second part")
    branch = expect(Branch, first, "a step")
    norm = branch.sum_norm or branch.pre_norm
    return {
        "vocab_size": resolved.vocab_size,
        "max_position_embeddings": resolved.max_length
        if len(entrance.sum) == 2
        else expect(Learned, entrance.sum[2], "the third part").size,
        "type_vocab_size": types.size,
        "hidden_size": stack.d_model,
        "intermediate_size": mlp.d_ff,
        "num_hidden_layers": len(stack.layers),
        "num_attention_heads": attention.n_heads,
        "layer_norm_eps": expect(LayerNorm, norm, "the norm beside attention").eps,
        "hidden_act": spelling(mlp.activation),
        "is_decoder": isinstance(attention.mask, Causal),
        "tie_word_embeddings": resolved.head is None or is_tied(resolved),
    }


def attention_of(spec: dict[str, Any]) -> dict[str, Any]:
    """The attention of a spec made here, for a family that changes it."""
    op: dict[str, Any] = spec["stacks"][STACK]["blocks"]["main"][0]["op"]
    return op
