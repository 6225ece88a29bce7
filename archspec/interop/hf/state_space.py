"""What Mamba and Mamba-2 have in common: one mixer in each layer, and no field that bounds the length.

Structure and tensor names follow transformers 5.23 `models/mamba/modeling_mamba.py` and `models/mamba2`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archspec.interop.hf import vocabulary
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import expect, is_tied
from archspec.interop.recipe import Recipe, Select, Stored
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import RmsNorm

STACK = "decoder"
MAX_LENGTH = 1_048_576  # nothing in a state space bounds the length; a spec has to

# How the weights were initialised, which kernel computes, the precision of the residual stream, and what the original
# code wrote in its own words; transformers computes the same whatever they say.
INERT = frozenset({
    "time_step_min", "time_step_max", "time_step_floor", "time_step_scale", "time_step_init_scheme",
    "rescale_prenorm_residual", "residual_in_fp32", "use_mambapy", "use_associative_scan", "chunk_size",
    "intermediate_size", "d_inner", "d_model", "n_layer", "fused_add_norm", "rms_norm", "ssm_cfg",
    "pad_vocab_size_multiple", "norm_before_gate",
})  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """All but the mixer."""

    vocab_size: int
    d_model: int
    n_layers: int
    eps: float
    tied: bool


@dataclass(frozen=True)
class Defaults:
    vocab_size: int
    d_model: int
    n_layers: int
    tied: bool


def read(config: Config, defaults: Defaults) -> Frame:
    config.fixed("hidden_act", "silu", "swish")
    return Frame(
        config.integer("vocab_size", defaults.vocab_size),
        config.integer("hidden_size", defaults.d_model),
        config.layers("num_hidden_layers", defaults.n_layers),
        config.number("layer_norm_epsilon", 1e-5),
        config.flag("tie_word_embeddings", defaults.tied),
    )


def biases(config: Config, *, always: tuple[str, ...] = ()) -> list[str]:
    found = ["in", "out"] if config.flag("use_bias", False) else []
    return [*found, *(["conv"] if config.flag("use_conv_bias", True) else []), *always]


def bias_fields(bias: tuple[str, ...]) -> dict[str, Any]:
    if ("in" in bias) != ("out" in bias):
        raise CannotSay("biases on both or none of the outer projections")
    return {"use_bias": "in" in bias, "use_conv_bias": "conv" in bias}


def spec(m: Frame, op: Mapping[str, Any], head: HeadKind) -> dict[str, Any]:
    norm = {"type": "rms", "eps": m.eps}
    shared = vocabulary.shared(m.tied, head)
    out: dict[str, Any] = {
        "vocab_size": m.vocab_size,
        "max_length": MAX_LENGTH,
        "stacks": {
            STACK: {
                "d_model": m.d_model,
                "input": {"sum": [{"type": "tokens", **shared}] if shared else ["tokens"]},
                "blocks": {"main": [{"pre_norm": norm, "op": dict(op)}]},
                "layers": entries(["main"] * m.n_layers),
                "final_norm": norm,
            }
        },
    }
    return out | (
        {"head": {"logits": {"type": "linear", **shared} if shared else "linear"}} if head == "tokens" else {}
    )


def mixer(ours: str, theirs: str, names: Mapping[str, str], bias: list[str]) -> dict[str, Recipe]:
    """The mixer's tensors: `names` are vectors and norms, ours -> theirs; projections and convolution are the same."""
    recipes: dict[str, Recipe] = {f"{ours}.{path}": Stored(f"{theirs}.{name}") for path, name in names.items()}
    recipes[f"{ours}.conv.weight"] = Select(Stored(f"{theirs}.conv1d.weight"), 1, 0)  # (channels, 1, kernel)
    for part in bias:
        name = "conv1d" if part == "conv" else f"{part}_proj"
        recipes[f"{ours}.{part}.bias"] = Stored(f"{theirs}.{name}.bias")
    return recipes


def tensors(m: Frame, op: str, names: Mapping[str, str], bias: list[str], head: HeadKind) -> TensorMap:
    """`op`: the type of the mixer."""
    ours, theirs = f"{STACK}.{{}}.{op}", "backbone.layers.{}"
    templates = mixer(ours, f"{theirs}.mixer", names, bias)
    templates[f"{ours}.pre_norm.weight"] = Stored(f"{theirs}.norm.weight")
    between = per_layer(m.n_layers, templates)
    between[f"{STACK}.final_norm.weight"] = Stored("backbone.norm_f.weight")
    return vocabulary.with_ends(
        between, tied=m.tied, head=head, stack=STACK, embedding="backbone.embeddings.weight", logits="lm_head.weight",
        prefix="backbone.",
    )  # fmt: skip


def fields(resolved: Resolved) -> dict[str, Any]:
    """The fields of the frame; CannotSay where a layer is more than one mixer."""
    stack = resolved.stacks[resolved.output]
    if not stack.layers or any(len(stack.bodies[layer.body]) != 1 for layer in stack.layers):
        raise CannotSay("a layer is one mixer")
    return {
        "vocab_size": resolved.vocab_size,
        "hidden_size": stack.d_model,
        "num_hidden_layers": len(stack.layers),
        "layer_norm_epsilon": expect(RmsNorm, stack.final_norm, "the final norm").eps,
        "tie_word_embeddings": is_tied(resolved),
        "hidden_act": "silu",
    }


def expansion(d_inner: int, d_model: int) -> int:
    if d_inner % d_model:
        raise CannotSay("the inner width is a multiple of the model's")
    return d_inner // d_model
