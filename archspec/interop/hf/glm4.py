"""GLM-4: GLM with a norm on what each branch adds, beside the one on what it reads.

Defaults: transformers 5.23 `models/glm4/configuration_glm4.py` Glm4Config; names: `modeling_glm4.py`, whose
`post_attention_layernorm` is the norm before the MLP.
"""

from dataclasses import replace
from typing import Any

from archspec.interop.hf import glm, rms_decoder
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import Family, HeadKind
from archspec.interop.recipe import Stored
from archspec.interop.tensor_map import TensorMap, per_layer


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    decoder = glm.read(config)
    out = rms_decoder.spec(decoder, head)
    for block in out["stacks"][rms_decoder.STACK]["blocks"].values():
        for step in block:
            step["out_norm"] = {"type": "rms", "eps": decoder.eps}
    return out


def tensors(config: Config, head: HeadKind) -> TensorMap:
    found = glm.tensors(config, head)
    ours, layer = f"{rms_decoder.STACK}.{{}}", "model.layers.{}"
    norms = per_layer(
        len(glm.read(config).windows),
        {
            f"{ours}.attention.out_norm.weight": Stored(f"{layer}.post_self_attn_layernorm.weight"),
            f"{ours}.gated_mlp.out_norm.weight": Stored(f"{layer}.post_mlp_layernorm.weight"),
        },
    )
    return replace(found, recipes={**found.recipes, **norms})


FAMILY = Family(
    model_type="glm4",
    spec=to_spec,
    tensors=tensors,
    config=glm.to_config,
    heads={"Glm4ForCausalLM": "tokens", "Glm4Model": "none"},
)
