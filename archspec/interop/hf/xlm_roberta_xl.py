"""XLM-RoBERTa-XL: RoBERTa with norms before each branch and one at the end, and none on the embeddings.

Defaults and names: transformers 5.23 `models/xlm_roberta_xl/configuration_xlm_roberta_xl.py` XLMRobertaXLConfig and
`modeling_xlm_roberta_xl.py`, where the norm before the MLP is the layer's `LayerNorm`.
"""

from dataclasses import replace
from typing import Any

from archspec.interop.hf import encoder, roberta
from archspec.interop.hf.config import Config
from archspec.interop.hf.encoder import STACK
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.recipe import Recipe, Stored
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

BEFORE = {
    "attention.output.LayerNorm": "attention.self_attn_layer_norm",
    "output.LayerNorm": "LayerNorm",
}


DEFAULTS = {
    "vocab_size": 250880, "hidden_size": 2560, "num_hidden_layers": 36, "num_attention_heads": 32,
    "intermediate_size": 10240, "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
}  # fmt: skip


def read(config: Config) -> encoder.Encoder:
    return roberta.read(config, **DEFAULTS)


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config)
    out = encoder.spec(m, head)
    stack = out["stacks"][STACK]
    del stack["input"]["then"]
    for step in stack["blocks"]["main"]:
        step["pre_norm"] = step.pop("sum_norm")
    stack["final_norm"] = {"type": "layer", "eps": m.eps}
    return out


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    found = encoder.tensors(m, head, "roberta.", roberta.NAMES)
    recipes: dict[str, Recipe] = {}
    for path, recipe in found.recipes.items():
        if path.startswith(f"{STACK}.text.then."):
            continue
        if ".sum_norm." in path and isinstance(recipe, Stored):
            name = recipe.name
            after = next(after for after in BEFORE if f".{after}." in name)
            recipe = Stored(name.replace(f".{after}.", f".{BEFORE[after]}."))
            path = path.replace(".sum_norm.", ".pre_norm.")
        recipes[path] = recipe
    for role in ("weight", "bias"):
        recipes[f"{STACK}.final_norm.{role}"] = Stored(f"roberta.encoder.LayerNorm.{role}")
    return replace(found, recipes=recipes)


def to_config(resolved: Resolved) -> dict[str, Any]:
    if resolved.stacks[resolved.output].final_norm is None:
        raise CannotSay("norms before each branch, and one at the end")
    return roberta.to_config(resolved)


FAMILY = Family(
    model_type="xlm-roberta-xl",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"XLMRobertaXLModel": "none", "XLMRobertaXLForMaskedLM": "tokens", "XLMRobertaXLForCausalLM": "tokens"},
)
