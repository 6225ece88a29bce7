"""BERT, and sentence encoders made from it.

Defaults: transformers 5.23 `models/bert/configuration_bert.py` BertConfig. Distances in place of positions
(`position_embedding_type`) follow transformers 4.35.2: a table for each layer, from the key to the query, scored with
queries, or with queries and keys; releases from 5 on ignore the field.
"""

from dataclasses import replace
from typing import Any

from archspec.interop.hf import encoder
from archspec.interop.hf.config import Config
from archspec.interop.hf.encoder import STACK, attention_of
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.reading import expect, operator
from archspec.interop.recipe import Reverse, Stored, sources
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import Attention, RelativeVectors

NAMES = encoder.HeadNames(
    dense="cls.predictions.transform.dense",
    norm="cls.predictions.transform.LayerNorm",
    decoder="cls.predictions.decoder",
    bias="cls.predictions.bias",
)


TERMS = {"relative_key": ["q_r"], "relative_key_query": ["q_r", "k_r"]}


def read(config: Config) -> encoder.Encoder:
    return encoder.read(config, vocab_size=30522, positions=("absolute", *TERMS))


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config)
    out = encoder.spec(m, head)
    if terms := TERMS.get(config.get("position_embedding_type")):
        distance = {"type": "clip", "left": m.rows - 1, "right": m.rows - 1}
        vectors = {"type": "table", "distance": distance}
        out["stacks"][STACK]["input"]["sum"].pop()
        attention_of(out)["position"] = [{"type": "relative_vectors", "vectors": vectors, "terms": terms}]
    return out


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    found = encoder.tensors(m, head, "bert.", NAMES)
    if config.get("position_embedding_type") not in TERMS:
        return found
    recipes = dict(found.recipes)
    positions = recipes.pop(f"{STACK}.text.learned.weight")
    recipes |= per_layer(m.n_layers, {
        f"{STACK}.{{}}.attention.relative_vectors.table.weight":
            Reverse(Stored("bert.encoder.layer.{}.attention.self.distance_embedding.weight"), 0)
    })  # fmt: skip
    return replace(found, recipes=recipes, unread=(*found.unread, *sources(positions)))


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    if stack.inputs[0].positions.type != "index":
        raise CannotSay("positions are plain indices")
    fields = encoder.fields(resolved)
    attention = operator(stack.bodies[0][0], Attention)
    if len(stack.inputs[0].sum) == 2 and attention.position:
        terms = list(expect(RelativeVectors, attention.position[0], "the position").terms)
        kind = next((kind for kind, found in TERMS.items() if found == terms), None)
        return fields | {"position_embedding_type": kind}
    return fields


# Written by the first release for its own pooler; nothing reads them.
POOLER_FIELDS = frozenset({
    "directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
    "pooler_size_per_head", "pooler_type",
})  # fmt: skip

FAMILY = Family(
    model_type="bert",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={
        "BertModel": "none",
        "BertForMaskedLM": "tokens",
        "BertLMHeadModel": "tokens",
        "BertForPreTraining": "tokens",  # its next-sentence head is left out
    },
    inert=POOLER_FIELDS,
)
