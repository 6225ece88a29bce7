"""Funnel: blocks of layers over fewer and fewer rows, then rows as many as there were words.

Defaults and names: transformers 5.23 `models/funnel/configuration_funnel.py` FunnelConfig and `modeling_funnel.py`.
Pooling takes means of two rows, of queries only, and keeps the first row apart; that code does not pool two rows or
fewer. What is widened at the end is added to what the first block gave.
"""

from dataclasses import dataclass
from typing import Any

from archspec.interop.hf import vocabulary
from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import MOST_LAYERS, Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import all_of, expect, is_tied, spelling
from archspec.interop.recipe import Concat, Recipe, Reshape, Slice, Stored, Transpose
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.types import Attention, Branch, LayerNorm, Mlp, Resample

STACK = "encoder"
BOTH = ("weight", "bias")


@dataclass(frozen=True)
class Funnel:
    vocab_size: int
    max_length: int | None  # nothing bounds it; files say how long the training texts were
    d_model: int
    d_head: int
    d_ff: int
    n_heads: int
    blocks: tuple[int, ...]  # layers of each
    last: int  # layers over all rows again
    eps: float
    activation: str
    tied: bool

    @property
    def kinds(self) -> list[str]:
        first, *others = self.blocks
        out = ["plain"] * first + ["save"]
        for count in others:
            out += ["pool"] + ["plain"] * (count - 1)
        return out + ["widen"] + ["plain"] * self.last

    @property
    def places(self) -> dict[int, str]:
        """Our layers of attention and MLP -> what theirs are called."""
        theirs = [f"encoder.blocks.{b}.{i}" for b, count in enumerate(self.blocks) for i in range(count)]
        theirs += [f"decoder.layers.{i}" for i in range(self.last)]
        ours = [i for i, kind in enumerate(self.kinds) if kind in ("plain", "pool")]
        return dict(zip(ours, theirs, strict=True))


def read(config: Config) -> Funnel:
    blocks = config.get("block_sizes", [4, 4, 4])
    if not isinstance(blocks, list) or not blocks or not all(isinstance(n, int) and n is not True for n in blocks):
        raise config.fail("block_sizes", f"found {blocks!r}, expected a list of whole numbers")
    if min(blocks) < 1 or sum(blocks) > MOST_LAYERS:
        raise config.fail("block_sizes", f"{blocks}: each block has a layer or more, {MOST_LAYERS:,} at most in all")
    config.fixed("block_repeats", [1] * len(blocks))
    config.fixed("pooling_type", "mean")
    config.fixed("attention_type", "relative_shift", "factorized")  # the same sums in another order
    for name in ("separate_cls", "truncate_seq", "pool_q_only"):
        config.fixed(name, True)
    said = "max_position_embeddings"
    return Funnel(
        vocab_size=config.integer("vocab_size", 30522),
        max_length=None if config.get(said) is None else config.integer(said),
        d_model=config.integer("hidden_size", config.integer("d_model", 768)),
        d_head=config.integer("d_head", 64),
        d_ff=config.integer("d_inner", 3072),
        n_heads=config.integer("num_attention_heads", config.integer("n_head", 12)),
        blocks=tuple(blocks),
        last=config.integer("num_decoder_layers", 2, least=0, most=MOST_LAYERS),
        eps=config.number("layer_norm_eps", 1e-9),
        activation=config.word("hidden_act", "gelu_new", ACTIVATIONS),
        tied=config.flag("tie_word_embeddings", True),
    )


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config)
    norm = {"type": "layer", "eps": m.eps}
    vectors = {"type": "relative_vectors", "vectors": {"type": "sinusoid"}, "terms": ["q_r", "u_k", "v_r"],
               "projection": "own", "skip_first": True}  # fmt: skip
    attention = {"type": "attention", "n_heads": m.n_heads, "d_head": m.d_head, "bias": ["k", "v", "o"],
                 "position": [vectors, {"type": "relative_segments", "skip_first": True}]}  # fmt: skip
    mlp = {"type": "mlp", "d_ff": m.d_ff, "activation": m.activation, "bias": ["up", "down"]}
    plain = [{"op": op, "sum_norm": norm} for op in (attention, mlp)]
    keep = {"read": "x", "op": "identity", "residual": "replace"}
    halve = {"type": "mean_pool", "stride": 2, "keep_first": True}
    again = {"type": "repeat", "factor": 2 ** (len(m.blocks) - 1), "keep_first": True}
    blocks: dict[str, Any] = {
        "plain": plain,
        "save": [keep | {"write": "first"}],
        "pool": [keep | {"write": "wide"}, {"resample": halve},
                 {"op": attention | {"source": "wide"}, "sum_norm": norm}, plain[1]],
        "widen": [*([{"resample": again}] if len(m.blocks) > 1 else []), {"read": "first", "op": "identity"}],
    }  # fmt: skip
    shared = vocabulary.shared(m.tied, head)
    streams = {"x": "text", **({"wide": "zero"} if len(m.blocks) > 1 else {}), "first": "zero"}
    out: dict[str, Any] = {
        "vocab_size": m.vocab_size,
        **({} if m.max_length is None else {"max_length": m.max_length}),
        "stacks": {
            STACK: {
                "d_model": m.d_model,
                "input": {"sum": [{"type": "tokens", **shared}], "then": [norm]},
                "streams": streams,
                "blocks": {kind: block for kind, block in blocks.items() if kind in m.kinds},
                "layers": entries(m.kinds),
            }
        },
    }
    return out | ({"head": {"logits": {"type": "linear", "bias": True, **shared}}} if head == "tokens" else {})


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    tied, width = m.tied and head == "tokens", m.n_heads * m.d_head
    embedding = Stored("funnel.embeddings.word_embeddings.weight")
    recipes: dict[str, Recipe] = {
        "vocab.weight" if tied else f"{STACK}.text.tokens.weight": embedding,
        **{f"{STACK}.text.then.0.{role}": Stored(f"funnel.embeddings.layer_norm.{role}") for role in BOTH},
    }
    names = {"attention.k": "attention.k_head", "attention.v": "attention.v_head", "attention.o": "attention.post_proj",
             "attention.sum_norm": "attention.layer_norm", "mlp.up": "ffn.linear_1", "mlp.down": "ffn.linear_2",
             "mlp.sum_norm": "ffn.layer_norm"}  # fmt: skip
    for layer, place in m.places.items():
        ours, theirs = f"{STACK}.{layer}", f"funnel.{place}"
        for path, name in names.items():
            recipes |= {f"{ours}.{path}.{role}": Stored(f"{theirs}.{name}.{role}") for role in BOTH}
        vectors, segments = f"{ours}.attention.relative_vectors", f"{ours}.attention.relative_segments"
        other = Stored(f"{theirs}.attention.seg_embed")  # the vector of another segment first
        recipes |= {
            f"{ours}.attention.q.weight": Stored(f"{theirs}.attention.q_head.weight"),
            f"{vectors}.r.weight": Transpose(
                Reshape(Stored(f"{theirs}.attention.r_kernel"), (m.d_model, width)), (1, 0)
            ),
            f"{vectors}.u.weight": Stored(f"{theirs}.attention.r_w_bias"),
            f"{vectors}.v.weight": Stored(f"{theirs}.attention.r_r_bias"),
            f"{segments}.bias": Stored(f"{theirs}.attention.r_s_bias"),
            f"{segments}.vectors": Concat((Slice(other, 0, 1, 2), Slice(other, 0, 0, 1)), 0),
        }
    if head == "tokens":
        recipes["head.logits.bias"] = Stored("lm_head.bias")
        if not tied:
            recipes["head.logits.weight"] = Stored("lm_head.weight")
    return TensorMap(
        recipes,
        prefix="funnel.",
        unread=() if head == "tokens" else ("lm_head.*", "discriminator_predictions.*"),
        copies={"lm_head.weight": embedding.name} if tied else {},
    )


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    attention, mlp = all_of(resolved, Attention)[0], all_of(resolved, Mlp)[0]
    sizes, last, place = [0], 0, "down"
    for layer in stack.layers:
        body = stack.bodies[layer.body]
        if any(isinstance(step, Branch) and isinstance(step.op, Attention) for step in body):
            if any(isinstance(step, Resample) for step in body):
                sizes.append(0)
            sizes[-1] += place == "down"
            last += place == "up"
        elif any(isinstance(step, Branch) and step.read != "x" for step in body):
            place = "up"
    norm = expect(Branch, stack.bodies[stack.layers[0].body][0], "the first step").sum_norm
    if place == "down":
        raise CannotSay("rows are as many again at the end as at the start")
    length = {} if resolved.max_length is None else {"max_position_embeddings": resolved.max_length}
    return length | {
        "vocab_size": resolved.vocab_size,
        "d_model": stack.d_model,
        "d_head": attention.d_head,
        "d_inner": mlp.d_ff,
        "n_head": attention.n_heads,
        "block_sizes": sizes,
        "block_repeats": [1] * len(sizes),
        "num_decoder_layers": last,
        "layer_norm_eps": expect(LayerNorm, norm, "the norm after attention").eps,
        "hidden_act": spelling(mlp.activation),
        "tie_word_embeddings": resolved.head is None or is_tied(resolved),
    }


FAMILY = Family(
    model_type="funnel",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"FunnelForMaskedLM": "tokens", "FunnelModel": "none", "FunnelForPreTraining": "none"},
    inert=frozenset({"activation_dropout", "initializer_std", "type_vocab_size"}),
)
