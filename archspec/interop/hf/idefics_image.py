"""The image encoder of IDEFICS, and its resampler: learned rows that attend to the image and to themselves."""

from typing import Any

from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay
from archspec.interop.hf.inert import ALWAYS, FIXED
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import all_of, expect, spelling
from archspec.interop.recipe import Recipe, Stored
from archspec.interop.tensor_map import per_layer
from archspec.spec import Resolved
from archspec.spec.types import Attention, Latents, LayerNorm, Mlp, Patches

IMAGE, RESAMPLER = "vision", "resampler"
BOTH = ("weight", "bias")
EPS = 1e-5  # torch's LayerNorm, in the resampler


def _inside(config: Config, name: str) -> Config:
    return config.group(name) or Config({}, config.source)


def _resampler(config: Config) -> Config | None:
    """Its fields; the file's own `use_resampler` decides."""
    perceiver = _inside(config, "perceiver_config")
    return perceiver if config.flag("use_resampler", False) else None


def _finish(inside: Config) -> None:
    """Refuses what is not known; older releases wrote the fields of every configuration here too."""
    for field, allowed in {**FIXED, "is_encoder_decoder": (False,), "is_decoder": (False,)}.items():
        inside.fixed(field, *allowed)
    inside.finish((*ALWAYS, "tie_word_embeddings", "vision_model_name"))


def images(config: Config) -> dict[str, Any]:
    """The stacks that make rows of an image."""
    vision = _inside(config, "vision_config")
    d_model = vision.integer("hidden_size", vision.integer("embed_dim", 768))
    size, patch = (vision.integer(name, n) for name, n in (("image_size", 224), ("patch_size", 14)))
    norm = {"type": "layer", "eps": vision.number("layer_norm_eps", 1e-5)}
    heads = {"type": "attention", "n_heads": vision.integer("num_attention_heads", 16), "bias": ["q", "k", "v", "o"]}
    mlp = {"type": "mlp", "d_ff": vision.integer("intermediate_size", 5120),
           "activation": vision.word("hidden_act", "gelu", ACTIVATIONS), "bias": ["up", "down"]}  # fmt: skip
    patches = {"type": "patches", "channels": vision.integer("num_channels", 3), "size": size, "patch": patch}
    rows = {"type": "learned", "size": (size // patch) ** 2 + 1}
    out: dict[str, Any] = {
        IMAGE: {
            "d_model": d_model,
            "input": {"name": "image", "sum": [patches | {"class_token": True}, rows], "then": [norm]},
            "blocks": {"main": [{"pre_norm": norm, "op": op} for op in (heads, mlp)]},
            "layers": entries(["main"] * vision.layers("num_hidden_layers", 32)),
        }
    }
    _finish(vision)
    perceiver = _inside(config, "perceiver_config")
    perceiver.get("use_resampler")
    count, depth = perceiver.integer("resampler_n_latents", 64), perceiver.layers("resampler_depth", 6)
    look: dict[str, Any] = {
        "type": "attention",
        "n_heads": perceiver.integer("resampler_n_heads", 16),
        "d_head": perceiver.integer("resampler_head_dim", 96),
        "extra_keys": [{"type": "stream", "name": IMAGE, "norm": {"type": "layer", "eps": EPS}}],
    }
    if perceiver.flag("qk_layer_norms_perceiver", False):
        look["qk_norm"] = {"norm": {"type": "layer", "eps": EPS}, "scope": "head"}
    _finish(perceiver)
    if _resampler(config) is None:
        return out
    own, feed = {"type": "layer", "eps": EPS}, {"type": "mlp", "d_ff": 4 * d_model, "activation": "relu"}
    out[RESAMPLER] = {
        "d_model": d_model,
        "input": {"name": "latents", "sum": [{"type": "latents", "count": count}]},
        "blocks": {"main": [{"pre_norm": own, "op": look}, {"pre_norm": own, "op": feed}]},
        "layers": entries(["main"] * depth),
        "final_norm": own,
    }
    return out


def tensors_of_images(config: Config) -> dict[str, Recipe]:
    theirs, layer = "model.vision_model", "model.vision_model.encoder.layers.{}"
    text = f"{IMAGE}.image"
    recipes: dict[str, Recipe] = {
        f"{text}.patches.weight": Stored(f"{theirs}.embeddings.patch_embedding.weight"),
        f"{text}.patches.class_token": Stored(f"{theirs}.embeddings.class_embedding"),
        f"{text}.learned.weight": Stored(f"{theirs}.embeddings.position_embedding.weight"),
        **{f"{text}.then.0.{role}": Stored(f"{theirs}.pre_layrnorm.{role}") for role in BOTH},
    }
    names = {"attention.o": "self_attn.out_proj", "mlp.up": "mlp.fc1", "mlp.down": "mlp.fc2"}
    names |= {"attention.pre_norm": "layer_norm1", "mlp.pre_norm": "layer_norm2"}
    names |= {f"attention.{part}": f"self_attn.{part}_proj" for part in "qkv"}
    templates: dict[str, Recipe] = {
        f"{IMAGE}.{{}}.{path}.{role}": Stored(f"{layer}.{name}.{role}") for path, name in names.items() for role in BOTH
    }
    recipes |= per_layer(_inside(config, "vision_config").layers("num_hidden_layers", 32), templates)
    perceiver = _resampler(config)
    if perceiver is None:
        return recipes
    theirs = "model.perceiver_resampler"
    block, ours = f"{theirs}.blocks.{{}}", f"{RESAMPLER}.{{}}"
    recipes[f"{RESAMPLER}.latents.latents.weight"] = Stored(f"{theirs}.latents")
    recipes |= {f"{RESAMPLER}.final_norm.{role}": Stored(f"{theirs}.layer_norm.{role}") for role in BOTH}
    matrices = {"attention.o": "0.output_proj", "mlp.up": "1.fc", "mlp.down": "1.c_proj"}
    matrices |= {f"attention.{part}": f"0.{part}_proj" for part in "qkv"}
    norms = {"attention.pre_norm": "0.latents_layer_norm", "mlp.pre_norm": "1.ln"}
    norms[f"attention.{IMAGE}_norm"] = "0.context_layer_norm"
    if perceiver.flag("qk_layer_norms_perceiver", False):
        norms |= {f"attention.{part}_norm": f"0.{part}_layer_norm" for part in "qk"}
    templates = {f"{ours}.{path}.weight": Stored(f"{block}.{name}.weight") for path, name in matrices.items()}
    for path, name in norms.items():
        templates |= {f"{ours}.{path}.{role}": Stored(f"{block}.{name}.{role}") for role in BOTH}
    return recipes | per_layer(perceiver.layers("resampler_depth", 6), templates)


def measured_images(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[IMAGE]
    attention, mlp = all_of(resolved, Attention, IMAGE)[0], all_of(resolved, Mlp, IMAGE)[0]
    if len(stack.inputs) != 1 or not stack.inputs[0].then:
        raise CannotSay("the image enters once, through a norm")
    patches = expect(Patches, stack.inputs[0].sum[0], "the first part of the image")
    vision = {
        "model_type": "idefics_vision",
        "embed_dim": stack.d_model,
        "image_size": patches.size,
        "patch_size": patches.patch,
        "num_channels": patches.channels,
        "intermediate_size": mlp.d_ff,
        "num_hidden_layers": len(stack.layers),
        "num_attention_heads": attention.n_heads,
        "hidden_act": spelling(mlp.activation),
        "layer_norm_eps": expect(LayerNorm, stack.inputs[0].then[0], "the norm of the image").eps,
    }
    if RESAMPLER not in resolved.stacks:
        return {"vision_config": vision, "use_resampler": False}
    rows = resolved.stacks[RESAMPLER]
    look = all_of(resolved, Attention, RESAMPLER)[0]
    perceiver = {
        "model_type": "idefics_perciever",
        "use_resampler": True,
        "resampler_n_latents": expect(Latents, rows.inputs[0].sum[0], "the rows of the resampler").count,
        "resampler_depth": len(rows.layers),
        "resampler_n_heads": look.n_heads,
        "resampler_head_dim": look.d_head,
        "qk_layer_norms_perceiver": look.qk_norm is not None,
    }
    return {"vision_config": vision, "perceiver_config": perceiver, "use_resampler": True}
