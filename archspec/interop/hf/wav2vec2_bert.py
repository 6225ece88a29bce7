"""Wav2Vec2-BERT: a conformer over rows of features, whose convolution looks back only.

Defaults: transformers 5.23 `models/wav2vec2_bert/configuration_wav2vec2_bert.py` Wav2Vec2BertConfig.
"""

from typing import Any

from archspec.interop.hf import conformer
from archspec.interop.hf.config import Config
from archspec.interop.hf.conformer import BOTH, STACK
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.reading import all_of, expect
from archspec.interop.recipe import Recipe, Stored
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.types import ConvModule, Features

PREFIX = "wav2vec2_bert."


def read(config: Config, head: HeadKind) -> conformer.Conformer:
    reach = [config.integer(f"{side}_max_position_embeddings", n) for side, n in (("left", 64), ("right", 8))]
    found: conformer.Conformer = conformer.read(
        config,
        d_model=1024,
        n_layers=24,
        n_heads=16,
        d_ff=4096,
        head=head,
        eps=config.number("layer_norm_eps", 1e-5),
        activation=conformer.activation(config, "swish"),
        batch_norm=False,
        looks_back=True,
        distances=conformer.distances(config, "relative_key", ("relative", "relative_key")),
        reach=(reach[0], reach[1]),
    )
    return found


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config, head)
    norm = {"type": "layer", "eps": m.eps}
    projection = {"type": "linear", "width": m.d_model, "bias": True}
    features = {"type": "features", "name": "input_features",
                "width": config.integer("feature_projection_input_dim", 160)}  # fmt: skip
    return conformer.spec(m, features | {"then": [norm, projection]}, None, head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    entrance: dict[str, Recipe] = {}
    for i, name in enumerate(("layer_norm", "projection")):
        for role in BOTH:
            stored = Stored(f"{PREFIX}feature_projection.{name}.{role}")
            entrance[f"{STACK}.text.features.then.{i}.{role}"] = stored
    return conformer.tensors(read(config, head), PREFIX, entrance, head)


def to_config(resolved: Resolved) -> dict[str, Any]:
    entrance = resolved.stacks[resolved.output].inputs[0].sum[0]
    if all_of(resolved, ConvModule)[0].padding != "left":
        raise CannotSay("the convolution looks back")
    return conformer.fields(resolved) | {
        "feature_projection_input_dim": expect(Features, entrance, "the input").width,
        "layer_norm_eps": conformer.eps_of(resolved),
    }


FAMILY = Family(
    model_type="wav2vec2-bert",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"Wav2Vec2BertModel": "none", "Wav2Vec2BertForCTC": "tokens"},
    head="none",
    inert=conformer.INERT,
)
