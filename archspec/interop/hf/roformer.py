"""RoFormer: BERT with heads rotated in neighbouring pairs in place of learned positions, and perhaps narrower tables.

Defaults and names: transformers 5.23 `models/roformer/configuration_roformer.py` RoFormerConfig and
`modeling_roformer.py`. Its angles are a table of as many rows as positions, which follows from the configuration.
"""

from dataclasses import replace
from typing import Any

from archspec.interop.hf import bert, encoder
from archspec.interop.hf.config import Config
from archspec.interop.hf.encoder import STACK, attention_of
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.reading import expect, operator
from archspec.interop.recipe import Stored
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.types import Attention, Rope, Tokens


def read(config: Config) -> encoder.Encoder:
    return encoder.read(config, vocab_size=50000, max_position_embeddings=1536)


def _width(config: Config, m: encoder.Encoder) -> int:
    return config.integer("embedding_size", m.d_model, null=True)


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config)
    out, width = encoder.spec(m, head), _width(config, m)
    entrance = out["stacks"][STACK]["input"]
    entrance["sum"].pop()
    rope: dict[str, Any] = {"type": "rope", "pairing": "interleaved"}
    if config.flag("rotary_value", False):
        rope["rotates"] = ["q", "k", "v"]
    attention_of(out)["position"] = [rope]
    if width != m.d_model:
        for part in entrance["sum"]:
            part["width"] = width
        entrance["then"].append({"type": "linear", "width": m.d_model, "bias": True})
        if head == "tokens":
            out["head"]["then"][0]["width"] = width
    return out


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    found = encoder.tensors(m, head, "roformer.", bert.NAMES)
    recipes = dict(found.recipes)
    del recipes[f"{STACK}.text.learned.weight"]
    if _width(config, m) != m.d_model:
        for role in ("weight", "bias"):
            recipes[f"{STACK}.text.then.1.{role}"] = Stored(f"roformer.embeddings_project.{role}")
    return replace(found, recipes=recipes, unread=(*found.unread, "roformer.encoder.embed_positions.weight"))


def to_config(resolved: Resolved) -> dict[str, Any]:
    fields = encoder.fields(resolved)
    stack = resolved.stacks[resolved.output]
    attention = operator(stack.bodies[0][0], Attention)
    if len(attention.position) != 1:
        raise CannotSay("heads are rotated, and there is no other position")
    return fields | {
        "embedding_size": expect(Tokens, stack.inputs[0].sum[0], "the first part").width,
        "rotary_value": "v" in expect(Rope, attention.position[0], "the position").rotates,
    }


FAMILY = Family(
    model_type="roformer",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"RoFormerForMaskedLM": "tokens", "RoFormerModel": "none", "RoFormerForCausalLM": "tokens"},
    inert=bert.POOLER_FIELDS,
)
