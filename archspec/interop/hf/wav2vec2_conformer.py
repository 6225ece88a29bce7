"""Wav2Vec2-Conformer: strided convolutions over a wave, then a conformer.

Defaults: transformers 5.23 `models/wav2vec2_conformer/configuration_wav2vec2_conformer.py` Wav2Vec2ConformerConfig. The
norms of the layers keep torch's eps, whatever `layer_norm_eps` says; positions by convolution
(`num_conv_pos_embeddings`) are made, and not used.
"""

from typing import Any

from archspec.interop.hf import conformer
from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.conformer import BOTH, STACK
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.reading import expect, spelling
from archspec.interop.recipe import Recipe, Stored
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.types import AudioConv, LayerNorm

PREFIX = "wav2vec2_conformer."
EPS = 1e-5  # torch's LayerNorm
SIZES = {
    "channels": ("conv_dim", [512] * 7),
    "kernels": ("conv_kernel", [10, 3, 3, 3, 3, 2, 2]),
    "strides": ("conv_stride", [5, 2, 2, 2, 2, 2, 2]),
}


def read(config: Config, head: HeadKind) -> conformer.Conformer:
    found: conformer.Conformer = conformer.read(
        config,
        d_model=768,
        n_layers=12,
        n_heads=12,
        d_ff=3072,
        head=head,
        eps=EPS,
        activation=conformer.activation(config, "gelu"),
        batch_norm=True,
        looks_back=False,
        distances=conformer.distances(config, "relative", ("relative",)),
        reach=(0, 0),
    )
    return found


def _wave(config: Config, m: conformer.Conformer) -> dict[str, Any]:
    if config.get("feat_extract_norm", "group") != "layer":
        raise config.fail("feat_extract_norm", "a norm after the first convolution only is not understood ('layer' is)")
    norm = {"type": "layer", "eps": config.number("layer_norm_eps", EPS)}
    out: dict[str, Any] = {
        "type": "audio_conv",
        "norm": {"type": "layer", "eps": EPS},
        "activation": config.word("feat_extract_activation", "gelu", ACTIVATIONS),
        "then": [norm, {"type": "linear", "width": m.d_model, "bias": True}],
    }
    for ours, (name, default) in SIZES.items():
        out[ours] = config.get(name, default)
        if not isinstance(out[ours], list) or len(out[ours]) != len(out["channels"]):
            raise config.fail(name, f"found {out[ours]!r}, expected a list with one number for each convolution")
    config.fixed("num_feat_extract_layers", len(out["channels"]))
    return out | ({"bias": True} if config.flag("conv_bias", False) else {})


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config, head)
    wave = _wave(config, m)
    return conformer.spec(m, wave, wave["then"][0], head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config, head)
    wave, text = _wave(config, m), f"{STACK}.text.audio_conv"
    entrance: dict[str, Recipe] = {}
    for i in range(len(wave["channels"])):
        theirs = f"{PREFIX}feature_extractor.conv_layers.{i}"
        for role in BOTH:
            entrance[f"{text}.{i}.norm.{role}"] = Stored(f"{theirs}.layer_norm.{role}")
            if role == "weight" or "bias" in wave:
                entrance[f"{text}.{i}.{role}"] = Stored(f"{theirs}.conv.{role}")
    for role in BOTH:
        entrance[f"{text}.then.0.{role}"] = Stored(f"{PREFIX}feature_projection.layer_norm.{role}")
        entrance[f"{text}.then.1.{role}"] = Stored(f"{PREFIX}feature_projection.projection.{role}")
        entrance[f"{STACK}.final_norm.{role}"] = Stored(f"{PREFIX}encoder.layer_norm.{role}")
    return conformer.tensors(m, PREFIX, entrance, head)


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    wave = expect(AudioConv, stack.inputs[0].sum[0], "the input")
    if wave.norm is None:
        raise CannotSay("there is a norm after each convolution")
    return conformer.fields(resolved) | {
        "feat_extract_norm": "layer",
        "feat_extract_activation": spelling(wave.activation),
        "conv_bias": wave.bias,
        **{name: list(getattr(wave, ours)) for ours, (name, _) in SIZES.items()},
        "layer_norm_eps": expect(LayerNorm, stack.final_norm, "the final norm").eps,
    }


FAMILY = Family(
    model_type="wav2vec2-conformer",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={
        "Wav2Vec2ConformerModel": "none",
        "Wav2Vec2ConformerForPreTraining": "none",
        "Wav2Vec2ConformerForCTC": "tokens",
    },
    head="none",
    inert=conformer.INERT,
)
