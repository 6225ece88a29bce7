"""What the decoders with RMS norms, rotary positions and a gated MLP have in common; each family says where it differs.

Structure and tensor names follow transformers 5.23 `models/llama/modeling_llama.py`; the others of this kind say
`LlamaDecoderLayer` in their modular files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose
from typing import Any

from archspec.interop.hf import vocabulary
from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import expect, is_tied, operator, spelling
from archspec.interop.hf.rope import DEFAULT_THETA, read_rope, write_rope
from archspec.spec import Resolved
from archspec.spec.types import Attention, Branch, GatedMlp, LinearLogits, RmsNorm, Rope, Tokens, Window

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
    qk_norm: str | None = None  # its scope: one gain for each head, or for the width
    norms: str = "before"  # of each branch: "before" it, "after" it, or "both"
    gain: str = "weight"
    local_rope: Mapping[str, Any] | None = None  # in layers with a window, where they rotate otherwise
    query_scale: float | None = None  # scores are divided by its root; None: d_head
    softcap: float | None = None
    logit_softcap: float | None = None
    scaled_words: bool = False  # by sqrt(d_model)
    sinks: bool = False

    @property
    def norm(self) -> dict[str, Any]:
        return {"type": "rms", "eps": self.eps} | ({} if self.gain == "weight" else {"gain": self.gain})


def read(config: Config, defaults: Defaults, **differences: Any) -> Decoder:
    """The common fields; `differences` are fields of Decoder that the family has read itself."""
    d_model = config.integer("hidden_size", defaults.d_model)
    n_heads = config.integer("num_attention_heads", defaults.n_heads)
    if d_model % n_heads and config.get("head_dim", defaults.d_head) is None:
        raise config.fail("hidden_size", f"{d_model} is not a multiple of num_attention_heads = {n_heads}")
    d_head = config.integer("head_dim", defaults.d_head or d_model // n_heads, null=not defaults.d_head)
    absent = None if config.is_null("num_key_value_heads") else defaults.n_kv_heads  # null always means n_heads
    n_kv_heads = config.integer("num_key_value_heads", absent or n_heads, null=True)
    if n_heads % n_kv_heads:
        raise config.fail("num_key_value_heads", f"{n_kv_heads} does not divide num_attention_heads = {n_heads}")
    max_length = config.integer("max_position_embeddings", defaults.max_length)
    n_layers = config.layers("num_hidden_layers", defaults.n_layers)
    rest: dict[str, Any] = {"windows": (None,) * n_layers, "tied": config.flag("tie_word_embeddings", False)}
    if "activation" not in differences:
        rest["activation"] = config.word("hidden_act", "silu", ACTIVATIONS)
    if "rope" not in differences:
        rest["rope"] = read_rope(config, max_length, d_head, theta=defaults.theta)
    return Decoder(
        vocab_size=config.integer("vocab_size", defaults.vocab_size),
        max_length=max_length,
        d_model=d_model,
        d_ff=config.integer("intermediate_size", defaults.d_ff),
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_head=d_head,
        eps=config.number("rms_norm_eps", defaults.eps),
        **rest | differences,
    )


def spec(decoder: Decoder, head: HeadKind) -> dict[str, Any]:
    """The spec, as short as a person would write it: what equals a default is left out."""
    mlp: dict[str, Any] = {"type": "gated_mlp", "d_ff": decoder.d_ff, "activation": decoder.activation}
    if decoder.mlp_bias:
        mlp["bias"] = ["up", "gate", "down"]
    attention = _attention(decoder)
    names = {
        window: "main" if len(set(decoder.windows)) == 1 else f"window_{window}" if window else "full"
        for window in decoder.windows
    }
    blocks: dict[str, Any] = {}
    for window, name in names.items():
        mask: Any = {"type": "window", "behind": window} if window else "causal"
        position = [dict(decoder.local_rope if window and decoder.local_rope else decoder.rope)]
        if blocks:
            change = {"/0/op/mask": mask} | ({"/0/op/position": position} if decoder.local_rope else {})
            blocks[name] = {"like": next(iter(blocks)), "set": change}
            continue
        blocks[name] = [_branch(decoder, attention | {"mask": mask, "position": position}), _branch(decoder, mlp)]
    shared = vocabulary.shared(decoder.tied, head)
    words = shared | ({"scale": "=sqrt(d_model)"} if decoder.scaled_words else {})
    out: dict[str, Any] = {
        "vocab_size": decoder.vocab_size,
        "max_length": decoder.max_length,
        "stacks": {
            STACK: {
                "d_model": decoder.d_model,
                "input": {"sum": [{"type": "tokens", **words}] if words else ["tokens"]},
                "blocks": blocks,
                "layers": entries([names[window] for window in decoder.windows]),
                "final_norm": decoder.norm,
            }
        },
    }
    if head == "tokens":
        logits = shared | ({"softcap": decoder.logit_softcap} if decoder.logit_softcap else {})
        out["head"] = {"logits": {"type": "linear", **logits} if logits else "linear"}
    return out


def _attention(decoder: Decoder) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "attention", "n_heads": decoder.n_heads}
    if decoder.n_kv_heads != decoder.n_heads:
        out["n_kv_heads"] = decoder.n_kv_heads
    if decoder.d_head * decoder.n_heads != decoder.d_model:
        out["d_head"] = decoder.d_head
    if decoder.attention_bias:
        out["bias"] = list(decoder.attention_bias)
    if decoder.qk_norm:
        out["qk_norm"] = {"norm": decoder.norm, "scope": decoder.qk_norm}
    if decoder.query_scale not in (None, decoder.d_head):
        out["scale"] = f"=1/sqrt({decoder.query_scale})"
    if decoder.softcap:
        out["softcap"] = decoder.softcap
    return out | ({"extra_keys": ["sink"]} if decoder.sinks else {})


def _branch(decoder: Decoder, op: dict[str, Any]) -> dict[str, Any]:
    before = {} if decoder.norms == "after" else {"pre_norm": decoder.norm}
    after = {} if decoder.norms == "before" else {"out_norm": decoder.norm}
    return {**before, "op": op, **after}


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
    attentions = [operator(body[0], Attention) for body in bodies]
    windows = tuple(_window(op.mask) for op in attentions)
    first = expect(Branch, bodies[0][0], "a step")
    final_norm = expect(RmsNorm, stack.final_norm, "the final norm")
    words = expect(Tokens, stack.inputs[0].sum[0], "the input")
    local = [o.position[0] for o, window in zip(attentions, windows, strict=True) if window and o.position]
    wide = [o.position[0] for o, window in zip(attentions, windows, strict=True) if not window and o.position]
    rope = expect(Rope, (wide or local)[0], "the position")
    local_rope = expect(Rope, local[0], "the position") if local and local[0] != rope else None
    query_scale = attention.scale**-2
    return Decoder(
        vocab_size=resolved.vocab_size,
        max_length=resolved.max_length,
        d_model=stack.d_model,
        d_ff=mlp.d_ff,
        n_heads=attention.n_heads,
        n_kv_heads=attention.n_kv_heads,
        d_head=attention.d_head,
        eps=final_norm.eps,
        activation=mlp.activation,
        rope=write_rope(rope, attention.d_head),
        tied=is_tied(resolved),
        windows=windows,
        attention_bias=tuple(attention.bias),
        mlp_bias=bool(mlp.bias),
        qk_norm=None if attention.qk_norm is None else attention.qk_norm.scope,
        norms="before" if first.out_norm is None else "both" if first.pre_norm else "after",
        gain=final_norm.gain,
        local_rope=None if local_rope is None else write_rope(local_rope, attention.d_head),
        query_scale=None if isclose(query_scale, attention.d_head) else float(f"{query_scale:.12g}"),
        softcap=attention.softcap,
        logit_softcap=None if resolved.head is None else expect(LinearLogits, resolved.head.logits, "the head").softcap,
        scaled_words=words.scale != 1,
        sinks=bool(attention.extra_keys),
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
