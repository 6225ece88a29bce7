"""Query formers: queries that look at an image in every n-th layer, perhaps beside a text.

Structure and names follow transformers 5.23 `models/blip_2/modeling_blip_2.py` Blip2QFormerModel and
`models/instructblip/modeling_instructblip.py` InstructBlipQFormerModel. The queries are the caller's: they are vectors
given at run time. Beside a text their number has to be known: it is `num_query_tokens`, which stands in the
configuration of the model around it, 32 where nothing is said.
"""

from dataclasses import dataclass
from typing import Any

from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import all_of, expect, spelling
from archspec.interop.recipe import Recipe, Stored
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.resolved import branches
from archspec.spec.types import Attention, Features, LayerNorm, Learned, Mlp, Tokens

STACK, IMAGE = "queries", "vision"
BOTH = ("weight", "bias")
PROJECTIONS = ["q", "k", "v", "o"]


@dataclass(frozen=True)
class QFormer:
    vocab_size: int
    max_length: int
    d_model: int
    d_image: int
    d_ff: int
    n_layers: int
    n_heads: int
    queries: int | None
    every: int  # which layers look at the image, from the first on
    eps: float
    activation: str

    def looks(self, layer: int) -> bool:
        return layer % self.every == 0


def family(model_type: str, model: str, *, text: bool) -> Family:
    """The importer of one of these models, named by its class."""
    return Family(
        model_type=model_type,
        spec=lambda config, head: spec(read(config, text=text), text=text),
        tensors=lambda config, head: tensors(read(config, text=text), text=text),
        config=lambda resolved: fields(resolved, text=text),
        heads={model: "none"},
        head="none",
    )


def read(config: Config, *, text: bool) -> QFormer:
    if not text:
        config.fixed("use_qformer_text_input", False)
    d_model, n_heads = config.integer("hidden_size", 768), config.integer("num_attention_heads", 12)
    if d_model % n_heads:
        raise config.fail("hidden_size", f"{d_model} is not a multiple of num_attention_heads = {n_heads}")
    return QFormer(
        vocab_size=config.integer("vocab_size", 30522),
        max_length=config.integer("max_position_embeddings", 512),
        d_model=d_model,
        d_image=config.integer("encoder_hidden_size", 1408),
        d_ff=config.integer("intermediate_size", 3072),
        n_layers=config.layers("num_hidden_layers", 12),
        n_heads=n_heads,
        queries=config.integer("num_query_tokens", 32) if text else None,
        every=config.integer("cross_attention_frequency", 2),
        eps=config.number("layer_norm_eps", 1e-12),
        activation=config.word("hidden_act", "gelu", ACTIVATIONS),
    )


def spec(m: QFormer, *, text: bool) -> dict[str, Any]:
    norm = {"type": "layer", "eps": m.eps}
    heads = {"type": "attention", "n_heads": m.n_heads, "bias": PROJECTIONS}
    mlp = {"type": "mlp", "d_ff": m.d_ff, "activation": m.activation, "bias": ["up", "down"]}
    entrance = {"type": "layer", "eps": m.eps} | ({"weights": "/entrance"} if text else {})

    def of(name: str) -> dict[str, Any]:
        return {"rows": {"type": "segment_named", "name": name}} if text else {}

    feeds = [{"name": f"{name}_ffn", **of(rows), "op": mlp, "sum_norm": norm}
             for name, rows in (("query", "queries"), ("text", "text")) if text or name == "query"]  # fmt: skip
    own = {"op": heads, "sum_norm": norm}
    look = {**of("queries"), "op": heads | {"source": IMAGE}, "sum_norm": norm}
    blocks = {"look": [own, look, *feeds], "plain": [own, *feeds]}
    kinds = ["look" if m.looks(layer) else "plain" for layer in range(m.n_layers)]
    queries: dict[str, Any] = {"name": "queries", "sum": [{"type": "features", "name": "query_embeds"}]}
    if m.queries:
        queries["sum"][0]["count"] = m.queries
    inputs = [queries | {"then": [entrance]}]
    if text:
        words = ["tokens", {"type": "learned", "size": m.max_length}]
        inputs.append({"name": "text", "sum": words, "then": [entrance]})
    image = {"type": "features", "name": "encoder_hidden_states"}
    return {
        **({"vocab_size": m.vocab_size} if text else {}),
        "max_length": m.max_length,
        "stacks": {
            IMAGE: {"d_model": m.d_image, "input": {"name": "image", "sum": [image]}},
            STACK: {
                "d_model": m.d_model,
                "input": inputs if text else inputs[0],
                "blocks": {kind: blocks[kind] for kind in dict.fromkeys(kinds)},
                "layers": entries(kinds),
            },
        },
    }


def tensors(m: QFormer, *, text: bool) -> TensorMap:
    recipes: dict[str, Recipe] = {}
    norm, path = ("embeddings.layernorm", "entrance") if text else ("layernorm", f"{STACK}.queries.then.0")
    for role in BOTH:
        recipes[f"{path}.{role}"] = Stored(f"{norm}.{role}")
    if text:
        recipes[f"{STACK}.text.tokens.weight"] = Stored("embeddings.word_embeddings.weight")
        recipes[f"{STACK}.text.learned.weight"] = Stored("embeddings.position_embeddings.weight")
    for layer in range(m.n_layers):
        ours, theirs = f"{STACK}.{layer}", f"encoder.layer.{layer}"
        parts: dict[str, str] = {}
        attentions = {"attention": "attention"} | ({"attention_2": "crossattention"} if m.looks(layer) else {})
        for path, name in attentions.items():
            words = {"q": "query", "k": "key", "v": "value"}
            parts |= {f"{path}.{part}": f"{name}.attention.{word}" for part, word in words.items()}
            parts |= {f"{path}.o": f"{name}.output.dense", f"{path}.sum_norm": f"{name}.output.LayerNorm"}
        for path, end in {"query_ffn": "_query", **({"text_ffn": ""} if text else {})}.items():
            parts |= {f"{path}.up": f"intermediate{end}.dense", f"{path}.down": f"output{end}.dense"}
            parts[f"{path}.sum_norm"] = f"output{end}.LayerNorm"
        for path, name in parts.items():
            recipes |= {f"{ours}.{path}.{role}": Stored(f"{theirs}.{name}.{role}") for role in BOTH}
    return TensorMap(recipes, unread=("embeddings.position_ids",))


def fields(resolved: Resolved, *, text: bool) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    others = [name for name in resolved.stacks if name != resolved.output]
    if len(others) != 1 or len(stack.inputs) != 1 + text or resolved.max_length is None:
        raise CannotSay("queries, perhaps a text, and one image")
    attention, mlp = all_of(resolved, Attention)[0], all_of(resolved, Mlp)[0]
    looks = [
        layer
        for layer, placed in enumerate(stack.layers)
        if any(isinstance(b.op, Attention) and b.op.source != "self" for b in branches(stack.bodies[placed.body]))
    ]
    if not stack.inputs[0].then or not looks:
        raise CannotSay("the queries pass a norm, and some layers look at the image")
    out: dict[str, Any] = {
        "max_position_embeddings": resolved.max_length,
        "hidden_size": stack.d_model,
        "encoder_hidden_size": resolved.stacks[others[0]].d_model,
        "intermediate_size": mlp.d_ff,
        "num_hidden_layers": len(stack.layers),
        "num_attention_heads": attention.n_heads,
        "cross_attention_frequency": looks[1] if len(looks) > 1 else len(stack.layers),
        "layer_norm_eps": expect(LayerNorm, stack.inputs[0].then[0], "the norm of the queries").eps,
        "hidden_act": spelling(mlp.activation),
    }
    if text:
        words = stack.inputs[1].sum
        expect(Tokens, words[0], "the first part of the text")
        expect(Learned, words[-1], "the last part of the text")
        out["vocab_size"] = resolved.vocab_size
        given = expect(Features, stack.inputs[0].sum[0], "the queries")
        if given.count != 32:
            out["num_query_tokens"] = given.count
    return out
