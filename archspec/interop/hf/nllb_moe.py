"""NLLB-MoE: mBART's frame with sinusoids counted over real words, and experts in every n-th layer, two for each word.

Defaults and names: transformers 5.23 `models/nllb_moe/configuration_nllb_moe.py` NllbMoeConfig and
`modeling_nllb_moe.py`. Outside training a share of `moe_token_dropout` is taken off what the experts say. That code
runs two of its experts only; the spec runs the ones that its router chose, as the model was trained.
"""

from dataclasses import dataclass
from typing import Any

from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.bart import BOTH, EPS, STACKS, Half
from archspec.interop.hf.config import Config
from archspec.interop.hf.experts import only, read_count
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import all_of, expect, operator, spelling
from archspec.interop.recipe import Recipe, Stack, Stored
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.types import Add, Attention, Branch, CountNonpad, FractionCapacity, Mlp, Moe, SumToOne, Tokens


@dataclass(frozen=True)
class Nllb:
    vocab_size: int
    max_length: int
    d_model: int
    pad_id: int
    activation: str
    scaled: bool  # words by sqrt(d_model)
    halves: dict[str, Half]
    sparse: dict[str, tuple[bool, ...]]
    n_experts: int
    biased: bool  # the router
    divided_first: bool  # the two weights, by their sum, before it is known who found a place
    fraction: float  # of all words, which an expert takes
    kept: float


def read(config: Config) -> Nllb:
    config.fixed("tie_word_embeddings", True)
    config.fixed("second_expert_policy", "all")
    config.fixed("batch_prioritized_routing", False)
    config.fixed("router_dtype", "float32")
    config.fixed("router_ignore_padding_tokens", False)
    d_model = config.integer("d_model", 1024)
    halves, sparse = {}, {}
    for stack in STACKS:
        half = Half(
            n_layers=config.layers(f"{stack}_layers", 12),
            n_heads=config.integer(f"{stack}_attention_heads", 16),
            d_ff=config.integer(f"{stack}_ffn_dim", 4096),
        )
        if d_model % half.n_heads:
            raise config.fail("d_model", f"{d_model} is not a multiple of {stack}_attention_heads = {half.n_heads}")
        step = config.integer(f"{stack}_sparse_step", 4, least=0)
        halves[stack] = half
        sparse[stack] = tuple(step > 0 and (layer + 1) % step == 0 for layer in range(half.n_layers))
    config.fixed("num_hidden_layers", halves["encoder"].n_layers)  # written beside by older releases
    fraction = config.number("moe_eval_capacity_token_fraction", 1.0)
    if fraction <= 0:
        raise config.fail("moe_eval_capacity_token_fraction", f"{fraction}: understood are numbers above 0")
    return Nllb(
        vocab_size=config.integer("vocab_size", 128112),
        max_length=config.integer("max_position_embeddings", 1024),
        d_model=d_model,
        pad_id=config.integer("pad_token_id", 1, least=0),
        activation=config.word("activation_function", "relu", ACTIVATIONS),
        scaled=config.flag("scale_embedding", True),
        halves=halves,
        sparse=sparse,
        n_experts=read_count(config, "num_experts", 128),
        biased=config.flag("router_bias", False),
        divided_first=config.flag("normalize_router_prob_before_dropping", False),
        fraction=fraction,
        kept=1 - config.number("moe_token_dropout", 0.2),
    )


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config)
    out: dict[str, Any] = {
        "vocab_size": m.vocab_size,
        "max_length": m.max_length,
        "stacks": {stack: _stack(m, stack) for stack in STACKS},
    }
    return out | ({"head": {"logits": {"type": "linear", "weights": "/vocab"}}} if head == "tokens" else {})


def _stack(m: Nllb, name: str) -> dict[str, Any]:
    half, decodes = m.halves[name], name == "decoder"
    norm = {"type": "layer", "eps": EPS}
    words = {"type": "tokens", "weights": "/vocab"} | ({"scale": "=sqrt(d_model)"} if m.scaled else {})
    if decodes:
        words["name"] = "decoder_input_ids"
    heads = {"type": "attention", "n_heads": half.n_heads, "bias": ["q", "k", "v", "o"]}
    own = heads | ({"mask": "causal"} if decodes else {})
    mlp = {"type": "mlp", "d_ff": half.d_ff, "activation": m.activation, "bias": ["up", "down"]}
    weights = {"type": "sum_to_one", "of": "chosen" if m.divided_first else "placed"}
    capacity = {"type": "fraction", "fraction": m.fraction, "over": "batch"}
    router = {"top_k": 2, "weights": weights, "capacity": capacity} | ({"bias": True} if m.biased else {})
    moe = {"type": "moe", "n_experts": m.n_experts, "expert": mlp, "router": router}
    looks = [{"pre_norm": norm, "op": op} for op in (own, *([heads | {"source": "encoder"}] if decodes else []))]
    blocks = {
        "dense": [*looks, {"pre_norm": norm, "op": mlp}],
        "sparse": [*looks, {"pre_norm": norm, "op": moe, "residual": {"type": "add", "scale": m.kept}}],
    }
    kinds = ["sparse" if sparse else "dense" for sparse in m.sparse[name]]
    return {
        "d_model": m.d_model,
        "input": {
            **({"name": "target"} if decodes else {}),
            "sum": [words, {"type": "sinusoid", "layout": "halves", "ladder": "closed", "offset": m.pad_id}],
            "positions": {"type": "count_nonpad", "pad_id": m.pad_id},
        },
        "blocks": {kind: blocks[kind] for kind in sorted(set(kinds))},
        "layers": entries(kinds),
        "final_norm": norm,
    }


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    shared = Stored("model.shared.weight")
    recipes: dict[str, Recipe] = {"vocab.weight": shared}
    for stack in STACKS:
        looks = {"attention": "self_attn"} | ({"attention_2": "cross_attention"} if stack == "decoder" else {})
        for layer, sparse in enumerate(m.sparse[stack]):
            ours, theirs = f"{stack}.{layer}", f"model.{stack}.layers.{layer}"
            parts = {f"{'moe' if sparse else 'mlp'}.pre_norm": "ff_layer_norm"}
            if not sparse:
                parts |= {"mlp.up": "ffn.fc1", "mlp.down": "ffn.fc2"}
            for path, name in looks.items():
                parts |= {f"{path}.{part}": f"{name}.{part}_proj" for part in "qkv"}
                parts |= {f"{path}.o": f"{name}.out_proj", f"{path}.pre_norm": f"{name}_layer_norm"}
            for role in BOTH:
                recipes |= {f"{ours}.{path}.{role}": Stored(f"{theirs}.{name}.{role}") for path, name in parts.items()}
                if sparse:
                    recipes |= {
                        f"{ours}.moe.experts.{part}.{role}": Stack(
                            tuple(Stored(f"{theirs}.ffn.experts.expert_{i}.{name}.{role}") for i in range(m.n_experts)),
                            0,
                        )
                        for part, name in {"up": "fc1", "down": "fc2"}.items()
                    }
                if sparse and (role == "weight" or m.biased):
                    recipes[f"{ours}.moe.router.{role}"] = Stored(f"{theirs}.ffn.router.classifier.{role}")
        for role in BOTH:
            recipes[f"{stack}.final_norm.{role}"] = Stored(f"model.{stack}.layer_norm.{role}")
    copies = {f"model.{stack}.embed_tokens.weight": shared.name for stack in STACKS}
    if head == "tokens":
        copies["lm_head.weight"] = shared.name
    # Sinusoids follow from the configuration; older releases stored them.
    unread = tuple(f"model.{stack}.embed_positions.weights" for stack in STACKS)
    return TensorMap(
        recipes, prefix="model.", unread=unread if head == "tokens" else (*unread, "lm_head.weight"), copies=copies
    )


def to_config(resolved: Resolved) -> dict[str, Any]:
    if set(resolved.stacks) != set(STACKS) or resolved.max_length is None:
        raise CannotSay("there are two stacks, encoder and decoder, and a maximum length")
    moe: Moe = only({op for stack in STACKS for op in all_of(resolved, Moe, stack)}, "mixture of experts")
    expert = expect(Mlp, moe.expert, "the expert")
    entrance = resolved.stacks["encoder"].inputs[0]
    out: dict[str, Any] = {
        "vocab_size": resolved.vocab_size,
        "max_position_embeddings": resolved.max_length,
        "d_model": resolved.stacks["encoder"].d_model,
        "pad_token_id": expect(CountNonpad, entrance.positions, "the positions").pad_id,
        "scale_embedding": expect(Tokens, entrance.sum[0], "the first part").scale != 1,
        "activation_function": spelling(expert.activation),
        "num_experts": moe.n_experts,
        "router_bias": moe.router.bias,
        "normalize_router_prob_before_dropping": expect(SumToOne, moe.router.weights, "the weights").of == "chosen",
        "moe_eval_capacity_token_fraction": expect(FractionCapacity, moe.router.capacity, "the capacity").fraction,
    }
    for name in STACKS:
        stack = resolved.stacks[name]
        last = [expect(Branch, stack.bodies[layer.body][-1], "a step") for layer in stack.layers]
        sparse = [layer for layer, step in enumerate(last) if isinstance(step.op, Moe)]
        out |= {
            f"{name}_layers": len(last),
            f"{name}_attention_heads": operator(stack.bodies[0][0], Attention).n_heads,
            f"{name}_ffn_dim": expert.d_ff,
            f"{name}_sparse_step": sparse[0] + 1,
            "moe_token_dropout": float(f"{1 - expect(Add, last[sparse[0]].residual, 'the residual').scale:.12g}"),
        }
    return out


FAMILY = Family(
    model_type="nllb-moe",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"NllbMoeForConditionalGeneration": "tokens", "NllbMoeModel": "none"},
    inert=frozenset([
        "dropout", "activation_dropout", "init_std", "encoder_layerdrop", "decoder_layerdrop", "expert_capacity",
        "router_z_loss_coef", "router_aux_loss_coef",
        "router_jitter_noise", "add_router_probs", "router_type", "output_router_logits",
    ]),
    encoder_decoder=True,
)  # fmt: skip
