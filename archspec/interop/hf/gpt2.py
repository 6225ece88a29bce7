"""GPT-2. Defaults: transformers 5.23 `models/gpt2/configuration_gpt2.py` GPT2Config.

Its Conv1D stores weights (in, out), and c_attn joins q, k and v along the outputs.
"""

from dataclasses import dataclass
from typing import Any

from archspec.interop.hf import vocabulary
from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import expect, is_tied, operator, spelling
from archspec.interop.recipe import Recipe, Slice, Stored, Transpose
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import Attention, LayerNorm, Mlp

STACK = "decoder"


@dataclass(frozen=True)
class Gpt2:
    vocab_size: int
    max_length: int
    d_model: int
    d_ff: int
    n_layers: int
    n_heads: int
    eps: float
    activation: str
    scale: str | int | None  # None: 1/sqrt(d_head)
    tied: bool


def _size(config: Config, name: str, common: str, default: int) -> int:
    """A size under its own or its common name (GPT2Config.attribute_map)."""
    return config.integer(name, config.integer(common, default))


def read(config: Config) -> Gpt2:
    config.fixed("reorder_and_upcast_attn", False, True)  # the order of rounding in mixed precision only
    scaled = config.flag("scale_attn_weights", True)
    by_layer = config.flag("scale_attn_by_inverse_layer_idx", False)
    d_model = _size(config, "n_embd", "hidden_size", 768)
    n_heads = _size(config, "n_head", "num_attention_heads", 12)
    if d_model % n_heads:
        raise config.fail("n_embd", f"{d_model} is not a multiple of n_head = {n_heads}")
    scale: str | int | None = None if scaled else 1
    if by_layer:
        scale = "=1/sqrt(d_head)/(layer+1)" if scaled else "=1/(layer+1)"
    return Gpt2(
        vocab_size=config.integer("vocab_size", 50257),
        max_length=_size(config, "n_positions", "max_position_embeddings", 1024),
        d_model=d_model,
        d_ff=config.integer("n_inner", 4 * d_model, null=True),
        n_layers=config.layers("n_layer", config.layers("num_hidden_layers", 12)),
        n_heads=n_heads,
        eps=config.number("layer_norm_epsilon", 1e-5),
        activation=config.word("activation_function", "gelu_new", ACTIVATIONS),
        scale=scale,
        tied=config.flag("tie_word_embeddings", True),
    )


def spec(m: Gpt2, head: HeadKind) -> dict[str, Any]:
    norm = {"type": "layer", "eps": m.eps}
    attention: dict[str, Any] = {
        "type": "attention",
        "n_heads": m.n_heads,
        "bias": ["q", "k", "v", "o"],
        "mask": "causal",
    }
    if m.scale is not None:
        attention["scale"] = m.scale
    mlp = {"type": "mlp", "d_ff": m.d_ff, "activation": m.activation, "bias": ["up", "down"]}
    shared = vocabulary.shared(m.tied, head)
    out: dict[str, Any] = {
        "vocab_size": m.vocab_size,
        "max_length": m.max_length,
        "stacks": {
            STACK: {
                "d_model": m.d_model,
                "input": {"sum": [{"type": "tokens", **shared}, {"type": "learned", "size": m.max_length}]},
                "blocks": {"main": [{"pre_norm": norm, "op": attention}, {"pre_norm": norm, "op": mlp}]},
                "layers": entries(["main"] * m.n_layers),
                "final_norm": norm,
            }
        },
    }
    return out | ({"head": {"logits": {"type": "linear", **shared}}} if head == "tokens" else {})


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    layer, ours = "transformer.h.{}", f"{STACK}.{{}}"
    templates: dict[str, Recipe] = {}
    for i, part in enumerate(("q", "k", "v")):
        start, stop = i * m.d_model, (i + 1) * m.d_model
        rows = Slice(Stored(f"{layer}.attn.c_attn.weight"), 1, start, stop)  # (in, d_model)
        templates[f"{ours}.attention.{part}.weight"] = Transpose(rows, (1, 0))
        templates[f"{ours}.attention.{part}.bias"] = Slice(Stored(f"{layer}.attn.c_attn.bias"), 0, start, stop)
    for path, name in {"attention.o": "attn.c_proj", "mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj"}.items():
        templates[f"{ours}.{path}.weight"] = Transpose(Stored(f"{layer}.{name}.weight"), (1, 0))
        templates[f"{ours}.{path}.bias"] = Stored(f"{layer}.{name}.bias")
    for path, name in {"attention.pre_norm": "ln_1", "mlp.pre_norm": "ln_2"}.items():
        for role in ("weight", "bias"):
            templates[f"{ours}.{path}.{role}"] = Stored(f"{layer}.{name}.{role}")
    between: dict[str, Recipe] = {
        f"{STACK}.text.learned.weight": Stored("transformer.wpe.weight"),
        **per_layer(m.n_layers, templates),
        f"{STACK}.final_norm.weight": Stored("transformer.ln_f.weight"),
        f"{STACK}.final_norm.bias": Stored("transformer.ln_f.bias"),
    }
    # Older checkpoints stored the causal mask as buffers.
    buffers = ("transformer.h.*.attn.bias", "transformer.h.*.attn.masked_bias")
    return vocabulary.with_ends(
        between, tied=m.tied, head=head, stack=STACK, embedding="transformer.wte.weight", logits="lm_head.weight",
        prefix="transformer.", unread=buffers,
    )  # fmt: skip


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    bodies = [stack.bodies[layer.body] for layer in stack.layers]
    if not bodies or len(bodies[0]) != 2:
        raise CannotSay("a layer is one attention and one MLP")
    attention, mlp = operator(bodies[0][0], Attention), operator(bodies[0][1], Mlp)
    # The scale of layer i is s or s/(i+1); a second layer tells which.
    scales = [operator(body[0], Attention).scale for body in bodies]
    by_layer = len(scales) > 1 and scales[1] != scales[0]
    return {
        "vocab_size": resolved.vocab_size,
        "n_positions": resolved.max_length,
        "n_embd": stack.d_model,
        "n_layer": len(bodies),
        "n_head": attention.n_heads,
        "n_inner": mlp.d_ff,
        "activation_function": spelling(mlp.activation),
        "layer_norm_epsilon": expect(LayerNorm, stack.final_norm, "the final norm").eps,
        "scale_attn_weights": scales[0] != 1 or attention.d_head == 1,
        "scale_attn_by_inverse_layer_idx": by_layer,
        "tie_word_embeddings": is_tied(resolved),
    }


# n_ctx repeats n_positions and nothing reads it; summary_* belong to the double-heads model.
DOUBLE_HEAD_FIELDS = frozenset({
    "n_ctx", "summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels",
    "summary_first_dropout",
})  # fmt: skip

FAMILY = Family(
    model_type="gpt2",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"GPT2LMHeadModel": "tokens", "GPT2Model": "none"},
    inert=DOUBLE_HEAD_FIELDS,
)
