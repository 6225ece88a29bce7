"""What the decoders with RMS norms, rotary positions and a gated MLP have in common; each family says where it differs.

Structure and tensor names follow transformers 5.23 `models/llama/modeling_llama.py`; the others of this kind say
`LlamaDecoderLayer` in their modular files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import expect, is_tied, operator, spelling
from archspec.interop.hf.rope import DEFAULT_THETA, read_rope, write_rope
from archspec.interop.recipe import Recipe, Stored
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import Attention, GatedMlp, RmsNorm, Rope, Window

STACK = "decoder"


@dataclass(frozen=True)
class Defaults:
    """What the family's configuration class has where a field is absent. None: from the other sizes."""

    vocab_size: int
    d_ff: int
    max_length: int
    n_kv_heads: int | None = None
    d_head: int | None = None
    d_model: int = 4096
    n_layers: int = 32
    n_heads: int = 32
    eps: float = 1e-6
    theta: float = DEFAULT_THETA


@dataclass(frozen=True)
class Decoder:
    """One decoder of this kind in numbers; `windows` has one entry for each layer (None: full causal attention)."""

    vocab_size: int
    max_length: int
    d_model: int
    d_ff: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    eps: float
    activation: str
    rope: Mapping[str, Any]
    tied: bool
    windows: tuple[int | None, ...]
    attention_bias: tuple[str, ...] = ()
    mlp_bias: bool = False
    qk_norm: bool = False


def read(config: Config, defaults: Defaults, **differences: Any) -> Decoder:
    """The common fields; `differences` are fields of Decoder that the family has read itself."""
    d_model = config.integer("hidden_size", defaults.d_model)
    n_heads = config.integer("num_attention_heads", defaults.n_heads)
    if d_model % n_heads and config.get("head_dim", defaults.d_head) is None:
        raise config.fail("hidden_size", f"{d_model} is not a multiple of num_attention_heads = {n_heads}")
    d_head = config.integer("head_dim", defaults.d_head or d_model // n_heads)
    absent = None if config.is_null("num_key_value_heads") else defaults.n_kv_heads  # null always means n_heads
    n_kv_heads = config.integer("num_key_value_heads", absent or n_heads)
    if n_heads % n_kv_heads:
        raise config.fail("num_key_value_heads", f"{n_kv_heads} does not divide num_attention_heads = {n_heads}")
    max_length = config.integer("max_position_embeddings", defaults.max_length)
    n_layers = config.layers("num_hidden_layers", defaults.n_layers)
    return Decoder(
        vocab_size=config.integer("vocab_size", defaults.vocab_size),
        max_length=max_length,
        d_model=d_model,
        d_ff=config.integer("intermediate_size", defaults.d_ff),
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_head=d_head,
        eps=config.number("rms_norm_eps", defaults.eps),
        activation=config.word("hidden_act", "silu", ACTIVATIONS),
        rope=read_rope(config, max_length, d_head, theta=defaults.theta),
        tied=config.flag("tie_word_embeddings", False),
        **{"windows": (None,) * n_layers} | differences,
    )


def layer_windows(config: Config, n_layers: int) -> tuple[int | None, ...]:
    """`layer_types`, or the rule that stands in for it: windows from layer `max_window_layers` on (Qwen2Config)."""
    use = config.flag("use_sliding_window", False)
    window = config.integer("sliding_window", 4096)
    first = config.integer("max_window_layers", 28, least=0)
    types = config.get("layer_types")
    if types is None:
        return tuple(window if use and layer >= first else None for layer in range(n_layers))
    if not isinstance(types, list) or len(types) != n_layers:
        raise config.fail("layer_types", f"expected a list of {n_layers} types, one for each layer")
    for layer, kind in enumerate(types):
        if kind not in ("full_attention", "sliding_attention"):
            raise config.fail(
                f"layer_types/{layer}", f"found {kind!r}, understood are 'full_attention', 'sliding_attention'"
            )
        if kind == "sliding_attention" and not use:
            raise config.fail(f"layer_types/{layer}", "a sliding layer, but use_sliding_window is false")
    return tuple(window if kind == "sliding_attention" else None for kind in types)


def spec(decoder: Decoder, head: HeadKind) -> dict[str, Any]:
    """The spec, as short as a person would write it: what equals a default is left out."""
    norm = {"type": "rms", "eps": decoder.eps}
    attention: dict[str, Any] = {"type": "attention", "n_heads": decoder.n_heads}
    if decoder.n_kv_heads != decoder.n_heads:
        attention["n_kv_heads"] = decoder.n_kv_heads
    if decoder.d_head * decoder.n_heads != decoder.d_model:
        attention["d_head"] = decoder.d_head
    if decoder.attention_bias:
        attention["bias"] = list(decoder.attention_bias)
    if decoder.qk_norm:
        attention["qk_norm"] = {"norm": norm, "scope": "head"}
    mlp: dict[str, Any] = {"type": "gated_mlp", "d_ff": decoder.d_ff, "activation": decoder.activation}
    if decoder.mlp_bias:
        mlp["bias"] = ["up", "gate", "down"]

    names = {
        window: "main" if len(set(decoder.windows)) == 1 else f"window_{window}" if window else "full"
        for window in decoder.windows
    }
    blocks: dict[str, Any] = {}
    for window, name in names.items():
        mask: Any = {"type": "window", "behind": window} if window else "causal"
        if blocks:
            blocks[name] = {"like": next(iter(blocks)), "set": {"/0/op/mask": mask}}
            continue
        own = attention | {"mask": mask, "position": [dict(decoder.rope)]}
        blocks[name] = [{"pre_norm": norm, "op": own}, {"pre_norm": norm, "op": mlp}]
    shared = {"weights": "/vocab"} if decoder.tied and head == "tokens" else {}
    out: dict[str, Any] = {
        "vocab_size": decoder.vocab_size,
        "max_length": decoder.max_length,
        "stacks": {
            STACK: {
                "d_model": decoder.d_model,
                "input": {"sum": [{"type": "tokens", **shared}] if shared else ["tokens"]},
                "blocks": blocks,
                "layers": entries([names[window] for window in decoder.windows]),
                "final_norm": norm,
            }
        },
    }
    if head == "tokens":
        out["head"] = {"logits": {"type": "linear", **shared} if shared else "linear"}
    return out


def tensors(decoder: Decoder, head: HeadKind) -> TensorMap:
    layer, ours = "model.layers.{}", f"{STACK}.{{}}"
    templates: dict[str, Recipe] = {
        f"{ours}.attention.pre_norm.weight": Stored(f"{layer}.input_layernorm.weight"),
        f"{ours}.gated_mlp.pre_norm.weight": Stored(f"{layer}.post_attention_layernorm.weight"),
    }
    for part in ("q", "k", "v", "o"):
        templates[f"{ours}.attention.{part}.weight"] = Stored(f"{layer}.self_attn.{part}_proj.weight")
        if part in decoder.attention_bias:
            templates[f"{ours}.attention.{part}.bias"] = Stored(f"{layer}.self_attn.{part}_proj.bias")
    if decoder.qk_norm:
        for part in ("q", "k"):
            templates[f"{ours}.attention.{part}_norm.weight"] = Stored(f"{layer}.self_attn.{part}_norm.weight")
    for part in ("gate", "up", "down"):
        templates[f"{ours}.gated_mlp.{part}.weight"] = Stored(f"{layer}.mlp.{part}_proj.weight")
        if decoder.mlp_bias:
            templates[f"{ours}.gated_mlp.{part}.bias"] = Stored(f"{layer}.mlp.{part}_proj.bias")
    embedding = Stored("model.embed_tokens.weight")
    tied = decoder.tied and head == "tokens"
    recipes: dict[str, Recipe] = {"vocab.weight" if tied else f"{STACK}.text.tokens.weight": embedding}
    recipes |= per_layer(len(decoder.windows), templates)
    recipes[f"{STACK}.final_norm.weight"] = Stored("model.norm.weight")
    if head == "tokens" and not tied:
        recipes["head.logits.weight"] = Stored("lm_head.weight")
    return TensorMap(
        recipes,
        prefix="model.",
        # Older checkpoints stored the frequencies, which follow from the configuration.
        unread=("model.layers.*.self_attn.rotary_emb.inv_freq", *(() if head == "tokens" else ("lm_head.weight",))),
        copies={"lm_head.weight": embedding.name} if tied else {},
    )


def measure(resolved: Resolved, mlp: GatedMlp | None = None) -> Decoder:
    """The numbers of a resolved spec; CannotSay at whatever this kind of decoder does not have.

    `mlp` stands for the second operator of a layer in families where that may be something else too.
    """
    stack = resolved.stacks[resolved.output]
    bodies = [stack.bodies[layer.body] for layer in stack.layers]
    if not bodies or any(len(body) != 2 for body in bodies):
        raise CannotSay("a layer is one attention and one gated MLP")
    attention, mlp = operator(bodies[0][0], Attention), mlp or operator(bodies[0][1], GatedMlp)
    if len(attention.position) != 1 or resolved.vocab_size is None or resolved.max_length is None:
        raise CannotSay("there are rotary positions, a vocabulary and a maximum length")
    rope = expect(Rope, attention.position[0], "the position")
    return Decoder(
        vocab_size=resolved.vocab_size,
        max_length=resolved.max_length,
        d_model=stack.d_model,
        d_ff=mlp.d_ff,
        n_heads=attention.n_heads,
        n_kv_heads=attention.n_kv_heads,
        d_head=attention.d_head,
        eps=expect(RmsNorm, stack.final_norm, "the final norm").eps,
        activation=mlp.activation,
        rope=write_rope(rope, attention.d_head),
        tied=is_tied(resolved),
        windows=tuple(_window(operator(body[0], Attention).mask) for body in bodies),
        attention_bias=tuple(attention.bias),
        mlp_bias=bool(mlp.bias),
        qk_norm=attention.qk_norm is not None,
    )


def _window(mask: Any) -> int | None:
    return mask.behind if isinstance(mask, Window) else None


def fields(decoder: Decoder) -> dict[str, Any]:
    """The fields of config.json that all families of this kind share."""
    return {
        "vocab_size": decoder.vocab_size,
        "hidden_size": decoder.d_model,
        "intermediate_size": decoder.d_ff,
        "num_hidden_layers": len(decoder.windows),
        "num_attention_heads": decoder.n_heads,
        "num_key_value_heads": decoder.n_kv_heads,
        "head_dim": decoder.d_head,
        "hidden_act": spelling(decoder.activation),
        "max_position_embeddings": decoder.max_length,
        "rms_norm_eps": decoder.eps,
        "tie_word_embeddings": decoder.tied,
        "rope_parameters": dict(decoder.rope),
    }


def window_fields(windows: Sequence[int | None]) -> dict[str, Any]:
    """The fields of families with a window in some layers."""
    sizes = {window for window in windows if window}
    if len(sizes) > 1:
        raise CannotSay(f"one window size for all layers, found {sorted(sizes)}")
    types = ["sliding_attention" if window else "full_attention" for window in windows]
    out: dict[str, Any] = {"use_sliding_window": bool(sizes), "layer_types": types}
    return out | ({"sliding_window": sizes.pop()} if sizes else {})
