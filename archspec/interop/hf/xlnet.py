"""XLNet: a stream of contents and one of queries at given places, over one set of weights; distances as vectors.

Defaults and names: transformers 5.23 `models/xlnet/configuration_xlnet.py` XLNetConfig and `modeling_xlnet.py`. Who
sees whom (`perm_mask`) and where the queries stand (`target_mapping`) are inputs. Memories of earlier calls (`mem_len`,
`reuse_len`, `use_mems_eval`) are the caller's; without them these fields say nothing.
"""

from dataclasses import dataclass
from typing import Any

from archspec.interop.hf import vocabulary
from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import all_of, expect, is_tied, spelling
from archspec.interop.recipe import Recipe, Reshape, Stored, Transpose
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import Attention, Branch, LayerNorm, Mlp, RelativeVectors, SinusoidVectors

STACK = "decoder"
BOTH = ("weight", "bias")


@dataclass(frozen=True)
class Xlnet:
    vocab_size: int
    d_model: int
    d_ff: int
    n_layers: int
    n_heads: int
    eps: float
    activation: str
    clamp: int | None
    tied: bool

    @property
    def d_head(self) -> int:
        return self.d_model // self.n_heads


def read(config: Config) -> Xlnet:
    config.fixed("attn_type", "bi")
    config.fixed("bi_data", False)
    config.fixed("untie_r", True)
    d_model = config.integer("hidden_size", config.integer("d_model", 1024))
    n_heads = config.integer("num_attention_heads", config.integer("n_head", 16))
    if d_model % n_heads:
        raise config.fail("d_model", f"{d_model} is not a multiple of n_head = {n_heads}")
    config.fixed("d_head", d_model // n_heads)
    clamp = config.integer("clamp_len", -1, least=-1)
    return Xlnet(
        vocab_size=config.integer("n_token", config.integer("vocab_size", 32000)),
        d_model=d_model,
        d_ff=config.integer("d_inner", 4096),
        n_layers=config.layers("num_hidden_layers", config.layers("n_layer", 24)),
        n_heads=n_heads,
        eps=config.number("layer_norm_eps", 1e-12),
        activation=config.word("ff_activation", "gelu", ACTIVATIONS),
        clamp=clamp if clamp > 0 else None,
        tied=config.flag("tie_word_embeddings", True),
    )


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config)
    vectors = {"type": "sinusoid", **({"clamp": m.clamp} if m.clamp else {})}
    relative = {"type": "relative_vectors", "vectors": vectors, "terms": ["q_r", "u_k", "v_r"], "projection": "own"}
    look = {"type": "attention", "weights": "a", "n_heads": m.n_heads, "position": [relative, "relative_segments"]}
    given = {"type": "not", "of": {"type": "input", "name": "perm_mask"}}
    mlp = {"type": "mlp", "weights": "f", "d_ff": m.d_ff, "activation": m.activation, "bias": ["up", "down"]}

    def norm(name: str) -> dict[str, Any]:
        return {"type": "layer", "weights": name, "eps": m.eps}

    contents = {"read": "h", "write": "h", "op": look | {"mask": {"type": "or", "of": ["self", given]}}}
    queries = {"read": "g", "write": "g", "op": look | {"source": "h", "mask": given}}
    block = [
        {"parallel": [branch | {"sum_norm": norm("n1")} for branch in (contents, queries)]},
        *({"read": stream, "write": stream, "op": mlp, "sum_norm": norm("n2")} for stream in ("h", "g")),
    ]
    shared = vocabulary.shared(m.tied, head)
    out: dict[str, Any] = {
        "vocab_size": m.vocab_size,
        "stacks": {
            STACK: {
                "d_model": m.d_model,
                "input": [
                    {"name": "text", "sum": [{"type": "tokens", **shared}]},
                    {"name": "targets", "sum": [{"type": "placeholder", "rows": "target_mapping"}]},
                ],
                "streams": {"h": "text", "g": "targets"},
                "blocks": {"main": block},
                "layers": entries(["main"] * m.n_layers),
                "final_read": {"first_present": ["g", "h"]},
            }
        },
    }
    return out | ({"head": {"logits": {"type": "linear", "bias": True, **shared}}} if head == "tokens" else {})


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    layer, ours, width = "transformer.layer.{}", f"{STACK}.{{}}", m.n_heads * m.d_head

    def flat(name: str) -> Recipe:
        return Reshape(Stored(f"{layer}.rel_attn.{name}"), (m.d_model, width))  # stored as (d_model, heads, d_head)

    vectors, segments = f"{ours}.a.relative_vectors", f"{ours}.a.relative_segments"
    templates: dict[str, Recipe] = {
        **{f"{ours}.a.{part}.weight": Transpose(flat(part), (1, 0)) for part in "qkv"},
        f"{ours}.a.o.weight": flat("o"),
        f"{vectors}.r.weight": Transpose(flat("r"), (1, 0)),
        f"{vectors}.u.weight": Stored(f"{layer}.rel_attn.r_w_bias"),
        f"{vectors}.v.weight": Stored(f"{layer}.rel_attn.r_r_bias"),
        f"{segments}.bias": Stored(f"{layer}.rel_attn.r_s_bias"),
        f"{segments}.vectors": Stored(f"{layer}.rel_attn.seg_embed"),
    }
    names = {"n1": "rel_attn.layer_norm", "n2": "ff.layer_norm", "f.up": "ff.layer_1", "f.down": "ff.layer_2"}
    for path, name in names.items():
        templates |= {f"{ours}.{path}.{role}": Stored(f"{layer}.{name}.{role}") for role in BOTH}
    tied = m.tied and head == "tokens"
    embedding = Stored("transformer.word_embedding.weight")
    recipes: dict[str, Recipe] = {
        "vocab.weight" if tied else f"{STACK}.text.tokens.weight": embedding,
        f"{STACK}.targets.placeholder.weight": Reshape(Stored("transformer.mask_emb"), (1, m.d_model)),
        **per_layer(m.n_layers, templates),
    }
    if head == "tokens":
        recipes["head.logits.bias"] = Stored("lm_loss.bias")
        if not tied:
            recipes["head.logits.weight"] = Stored("lm_loss.weight")
    return TensorMap(
        recipes,
        prefix="transformer.",
        unread=() if head == "tokens" else ("lm_loss.*",),
        copies={"lm_loss.weight": embedding.name} if tied else {},
    )


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    attention, mlp = all_of(resolved, Attention)[0], all_of(resolved, Mlp)[0]
    if not attention.position or len(stack.inputs) != 2:
        raise CannotSay("there are words and targets, and vectors of distances")
    relative = expect(RelativeVectors, attention.position[0], "the first position")
    clamp = expect(SinusoidVectors, relative.vectors, "the vectors of distances").clamp
    last = expect(Branch, stack.bodies[stack.layers[0].body][-1], "the last step")
    return {
        "vocab_size": resolved.vocab_size,
        "d_model": stack.d_model,
        "d_inner": mlp.d_ff,
        "n_layer": len(stack.layers),
        "n_head": attention.n_heads,
        "d_head": attention.d_head,
        "layer_norm_eps": expect(LayerNorm, last.sum_norm, "the norm after the MLP").eps,
        "ff_activation": spelling(mlp.activation),
        "clamp_len": clamp or -1,
        "tie_word_embeddings": resolved.head is None or is_tied(resolved),
    }


FAMILY = Family(
    model_type="xlnet",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"XLNetLMHeadModel": "tokens", "XLNetModel": "none"},
    inert=frozenset({
        "dropout", "mem_len", "reuse_len", "use_mems_eval", "use_mems_train", "same_length", "summary_type",
        "summary_use_proj", "summary_activation", "summary_last_dropout", "start_n_top", "end_n_top",
    }),
)  # fmt: skip
