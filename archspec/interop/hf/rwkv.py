"""RWKV-4: time mixing and channel mixing, each after a norm.

Defaults and names: transformers 5.23 `models/rwkv/configuration_rwkv.py` RwkvConfig and `modeling_rwkv.py`. Outside
training that code halves the stream after every `rescale_every`-th block and divides the output matrices of later
blocks accordingly. All that reads the stream is a norm, which a common factor 1/f leaves alone but for its eps: that
counts f² times as much. This is what the spec says; its weights are the stored ones.
"""

from dataclasses import dataclass
from math import isclose
from typing import Any

from archspec.interop.hf import vocabulary
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import all_of, expect, is_tied
from archspec.interop.recipe import Recipe, Reshape, Stored
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import Branch, LayerNorm, ShiftedMlp, Wkv

STACK = "decoder"
BOTH = ("weight", "bias")
LAST_EPS = 1e-5  # torch's LayerNorm, never set


@dataclass(frozen=True)
class Rwkv:
    vocab_size: int
    max_length: int
    d_model: int
    d_inner: int
    d_ff: int
    n_layers: int
    eps: float
    rescale_every: int
    tied: bool


def read(config: Config) -> Rwkv:
    d_model = config.integer("hidden_size", 4096)
    return Rwkv(
        vocab_size=config.integer("vocab_size", 50277),
        max_length=config.integer("max_position_embeddings", config.integer("context_length", 1024)),
        d_model=d_model,
        d_inner=config.integer("attention_hidden_size", d_model, null=True),
        d_ff=config.integer("intermediate_size", 4 * d_model, null=True),
        n_layers=config.layers("num_hidden_layers", 32),
        eps=config.number("layer_norm_epsilon", 1e-5),
        rescale_every=config.integer("rescale_every", 6, least=0),
        tied=config.flag("tie_word_embeddings", False),
    )


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config)
    eps: float | str = m.eps
    last_eps: float | str = LAST_EPS
    if 0 < m.rescale_every <= m.n_layers:
        last_eps = f"={LAST_EPS}*4**{m.n_layers // m.rescale_every}"
    if 0 < m.rescale_every < m.n_layers:
        eps = f"={m.eps}*4**floor(layer/{m.rescale_every})"
    norm = {"type": "layer", "eps": eps}
    wkv = {"type": "wkv", **({"d_inner": m.d_inner} if m.d_inner != m.d_model else {})}
    mlp = {"type": "shifted_mlp", "d_ff": m.d_ff}
    shared = vocabulary.shared(m.tied, head)
    out: dict[str, Any] = {
        "vocab_size": m.vocab_size,
        "max_length": m.max_length,
        "stacks": {
            STACK: {
                "d_model": m.d_model,
                "input": {"sum": [{"type": "tokens", **shared}], "then": [{"type": "layer", "eps": m.eps}]},
                "blocks": {"main": [{"pre_norm": norm, "op": wkv}, {"pre_norm": norm, "op": mlp}]},
                "layers": entries(["main"] * m.n_layers),
                "final_norm": {"type": "layer", "eps": last_eps},
            }
        },
    }
    return out | ({"head": {"logits": {"type": "linear", **shared}}} if head == "tokens" else {})


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    block, ours = "rwkv.blocks.{}", f"{STACK}.{{}}"
    time, channel = f"{block}.attention", f"{block}.feed_forward"
    words = {"k": "key", "v": "value", "r": "receptance"}
    channels = {"up": "key", "gate": "receptance"}
    templates: dict[str, Recipe] = {
        f"{ours}.wkv.decay": Stored(f"{time}.time_decay"),
        f"{ours}.wkv.first": Stored(f"{time}.time_first"),
        f"{ours}.wkv.o.weight": Stored(f"{time}.output.weight"),
        f"{ours}.shifted_mlp.down.weight": Stored(f"{channel}.value.weight"),
    }
    for op, place, names in (("wkv", time, words), ("shifted_mlp", channel, channels)):
        for part, name in names.items():
            templates[f"{ours}.{op}.{part}.weight"] = Stored(f"{place}.{name}.weight")
            templates[f"{ours}.{op}.mix_{part}"] = Reshape(Stored(f"{place}.time_mix_{name}"), (m.d_model,))
    for op, norm in (("wkv", "ln1"), ("shifted_mlp", "ln2")):
        templates |= {f"{ours}.{op}.pre_norm.{role}": Stored(f"{block}.{norm}.{role}") for role in BOTH}
    between: dict[str, Recipe] = {
        **{f"{STACK}.text.then.0.{role}": Stored(f"rwkv.blocks.0.pre_ln.{role}") for role in BOTH},
        **per_layer(m.n_layers, templates),
        **{f"{STACK}.final_norm.{role}": Stored(f"rwkv.ln_out.{role}") for role in BOTH},
    }
    return vocabulary.with_ends(
        between, tied=m.tied, head=head, stack=STACK, embedding="rwkv.embeddings.weight", logits="head.weight",
        prefix="rwkv.",
    )  # fmt: skip


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    wkv, mlp = all_of(resolved, Wkv)[0], all_of(resolved, ShiftedMlp)[0]
    if len(stack.inputs) != 1 or len(stack.inputs[0].then) != 1 or resolved.max_length is None:
        raise CannotSay("there is one input with a norm, and a maximum length")
    first = [expect(Branch, stack.bodies[layer.body][0], "a step").pre_norm for layer in stack.layers]
    sizes = [expect(LayerNorm, norm, "a norm").eps for norm in first]
    grown = [layer for layer, eps in enumerate(sizes) if not isclose(eps, sizes[0])]
    last = expect(LayerNorm, stack.final_norm, "the final norm").eps
    rescaled = grown[0] if grown else 0 if isclose(last, LAST_EPS) else len(sizes)
    return {
        "vocab_size": resolved.vocab_size,
        "context_length": resolved.max_length,
        "hidden_size": stack.d_model,
        "attention_hidden_size": wkv.d_inner,
        "intermediate_size": mlp.d_ff,
        "num_hidden_layers": len(stack.layers),
        "layer_norm_epsilon": sizes[0],
        "rescale_every": rescaled,
        "tie_word_embeddings": is_tied(resolved),
    }


FAMILY = Family(
    model_type="rwkv",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"RwkvForCausalLM": "tokens", "RwkvModel": "none"},
)
