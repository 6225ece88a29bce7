"""Transformer-XL: every word sees the last `mem_len` ones, over vectors of distances; words in clusters of widths.

Defaults and names: transformers 4.35.2 `models/transfo_xl/configuration_transfo_xl.py` TransfoXLConfig and
`modeling_transfo_xl.py`, the last release that runs it. Without `same_length` what a word sees depends on how its
caller cuts the text, which is refused. The memory begins empty, as in the authors' code; transformers lets the first
words see rows of zeros.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.fused import rows
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import all_of, expect
from archspec.interop.recipe import Recipe, Slice, Stored
from archspec.interop.tensor_map import TensorMap, per_layer
from archspec.spec import Resolved
from archspec.spec.types import (
    AdaptiveSoftmax,
    AdaptiveTokens,
    Attention,
    Branch,
    LayerNorm,
    Mlp,
    RelativeVectors,
    SinusoidVectors,
    Window,
)

STACK = "decoder"
BOTH = ("weight", "bias")
MAX_LENGTH = 65536  # nothing bounds the length; a spec has to


@dataclass(frozen=True)
class TransfoXl:
    vocab_size: int
    d_model: int
    d_head: int
    d_ff: int
    n_layers: int
    n_heads: int
    cutoffs: tuple[int, ...]
    divide: int
    window: int
    clamp: int | None
    eps: float
    shared_projections: bool

    @property
    def clusters(self) -> list[tuple[int, int]]:
        ends = [0, *self.cutoffs, self.vocab_size]
        return list(pairwise(ends))


def read(config: Config) -> TransfoXl:
    for name, understood in {"pre_lnorm": False, "attn_type": 0, "adaptive": True, "untie_r": True,
                             "tie_word_embeddings": True, "tie_weight": True, "same_length": True}.items():  # fmt: skip
        config.fixed(name, understood)
    vocab_size = config.integer("n_token", config.integer("vocab_size", 267735))
    cutoffs = config.get("cutoffs", [20000, 40000, 200000])
    whole = isinstance(cutoffs, list) and all(isinstance(n, int) and n is not True for n in cutoffs)
    if not whole or not cutoffs or sorted({0, *cutoffs, vocab_size}) != [0, *cutoffs, vocab_size]:
        raise config.fail("cutoffs", f"found {cutoffs!r}, expected rising numbers between 0 and {vocab_size}")
    shared = config.flag("proj_share_all_but_first", True)
    config.fixed("tie_projs", [False] + [shared] * len(cutoffs))
    d_model = config.integer("hidden_size", config.integer("d_model", 1024))
    config.fixed("d_embed", d_model)
    clamp = config.integer("clamp_len", 1000, least=-1)
    return TransfoXl(
        vocab_size=vocab_size,
        d_model=d_model,
        d_head=config.integer("d_head", 64),
        d_ff=config.integer("d_inner", 4096),
        n_layers=config.layers("num_hidden_layers", config.layers("n_layer", 18)),
        n_heads=config.integer("num_attention_heads", config.integer("n_head", 16)),
        cutoffs=tuple(cutoffs),
        divide=config.integer("div_val", 4),
        window=config.integer("mem_len", 1600),
        clamp=clamp if clamp > 0 else None,
        eps=config.number("layer_norm_epsilon", 1e-5),
        shared_projections=shared,
    )


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config)
    norm = {"type": "layer", "eps": m.eps}
    vectors = {"type": "sinusoid", **({"clamp": m.clamp} if m.clamp else {})}
    attention = {
        "type": "attention",
        "n_heads": m.n_heads,
        "d_head": m.d_head,
        "mask": {"type": "window", "behind": m.window},
        "position": [
            {"type": "relative_vectors", "vectors": vectors, "terms": ["q_r", "u_k", "v_r"], "projection": "own"}
        ],
    }
    mlp = {"type": "mlp", "d_ff": m.d_ff, "activation": "relu", "bias": ["up", "down"]}
    clusters = {"weights": "/vocab", "cutoffs": list(m.cutoffs), "divide": m.divide}
    out: dict[str, Any] = {
        "vocab_size": m.vocab_size,
        "max_length": MAX_LENGTH,
        "stacks": {
            STACK: {
                "d_model": m.d_model,
                "input": {"sum": [{"type": "adaptive_tokens", **clusters, "scale": "=sqrt(d_model)"}]},
                "blocks": {"main": [{"op": op, "sum_norm": norm} for op in (attention, mlp)]},
                "layers": entries(["main"] * m.n_layers),
            }
        },
    }
    if head == "tokens":
        tied = {"tie_projections": True} if m.shared_projections else {}
        out["head"] = {"logits": {"type": "adaptive_softmax", **clusters, **tied}}
    return out


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    layer, ours = "transformer.layers.{}", f"{STACK}.{{}}"
    joined = rows(f"{layer}.dec_attn.qkv_net.weight", dict.fromkeys("qkv", m.n_heads * m.d_head))
    vectors = f"{ours}.attention.relative_vectors"
    templates: dict[str, Recipe] = {
        **{f"{ours}.attention.{part}.weight": recipe for part, recipe in joined.items()},
        f"{ours}.attention.o.weight": Stored(f"{layer}.dec_attn.o_net.weight"),
        f"{vectors}.r.weight": Stored(f"{layer}.dec_attn.r_net.weight"),
        f"{vectors}.u.weight": Stored(f"{layer}.dec_attn.r_w_bias"),
        f"{vectors}.v.weight": Stored(f"{layer}.dec_attn.r_r_bias"),
    }
    names = {"attention.sum_norm": "dec_attn.layer_norm", "mlp.sum_norm": "pos_ff.layer_norm"}
    names |= {"mlp.up": "pos_ff.CoreNet.0", "mlp.down": "pos_ff.CoreNet.3"}
    for path, name in names.items():
        templates |= {f"{ours}.{path}.{role}": Stored(f"{layer}.{name}.{role}") for role in BOTH}
    words, recipes, copies = "transformer.word_emb", per_layer(m.n_layers, templates), {}
    for i, (start, stop) in enumerate(m.clusters):
        # Clusters of one width share one table and have no projections.
        place = 0 if m.divide == 1 else i
        table, bias = Stored(f"{words}.emb_layers.{place}.weight"), Stored(f"crit.out_layers.{place}.bias")
        one = m.divide == 1
        recipes[f"vocab.table_{i}.weight"] = Slice(table, 0, start, stop) if one else table
        copies[f"crit.out_layers.{place}.weight"] = table.name
        if head == "tokens":
            recipes[f"head.logits.bias_{i}"] = Slice(bias, 0, start, stop) if one else bias
        if not one:
            projection = Stored(f"{words}.emb_projs.{i}")
            recipes[f"vocab.projection_{i}.weight"] = projection
            if i and m.shared_projections:
                copies[f"crit.out_projs.{i}"] = projection.name
            elif head == "tokens":
                recipes[f"head.logits.projection_{i}.weight"] = Stored(f"crit.out_projs.{i}")
    if head == "tokens":
        recipes |= {f"head.logits.clusters.{role}": Stored(f"crit.cluster_{role}") for role in BOTH}
    unread = ("transformer.pos_emb.inv_freq", *(() if head == "tokens" else ("crit.*",)))
    return TensorMap(recipes, prefix="transformer.", unread=unread, copies=copies if head == "tokens" else {})


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    attention, mlp = all_of(resolved, Attention)[0], all_of(resolved, Mlp)[0]
    if not attention.position or len(stack.inputs) != 1:
        raise CannotSay("there is one input, and vectors of distances")
    words = expect(AdaptiveTokens, stack.inputs[0].sum[0], "the input")
    relative = expect(RelativeVectors, attention.position[0], "the position")
    clamp = expect(SinusoidVectors, relative.vectors, "the vectors of distances").clamp
    norm = expect(Branch, stack.bodies[stack.layers[0].body][0], "the first step").sum_norm
    shared = True
    if resolved.head is not None:
        shared = expect(AdaptiveSoftmax, resolved.head.logits, "the head").tie_projections
    return {
        "vocab_size": resolved.vocab_size,
        "d_model": stack.d_model,
        "d_embed": stack.d_model,
        "d_head": attention.d_head,
        "d_inner": mlp.d_ff,
        "n_layer": len(stack.layers),
        "n_head": attention.n_heads,
        "cutoffs": list(words.cutoffs),
        "div_val": int(words.divide),
        "mem_len": expect(Window, attention.mask, "the mask").behind,
        "clamp_len": clamp or -1,
        "layer_norm_epsilon": expect(LayerNorm, norm, "the norm after attention").eps,
        "proj_share_all_but_first": shared,
        "tie_projs": [False] + [shared] * len(words.cutoffs),
    }


FAMILY = Family(
    model_type="transfo-xl",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"TransfoXLLMHeadModel": "tokens", "TransfoXLModel": "none"},
    inert=frozenset({
        "dropout", "dropatt", "init", "init_range", "init_std", "proj_init_std", "sample_softmax", "tgt_len", "ext_len",
    }),
)  # fmt: skip
