"""Switch Transformers: T5 with experts in every n-th layer, one for each token, of which each takes only so many.

Defaults: transformers 5.23 `models/switch_transformers/configuration_switch_transformers.py` SwitchTransformersConfig.
With step n the layers 1, n + 1, ... are sparse, counted from 0 (`SwitchTransformersStack`); a file's own step wins over
the number of sparse layers that it is otherwise made from. Without `tie_word_embeddings` the encoder, the decoder and
the head have a table each.
"""

from dataclasses import dataclass
from typing import Any

from archspec.interop.hf import t5
from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.experts import only, read_count
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import all_of, expect
from archspec.interop.hf.t5 import T5
from archspec.interop.recipe import Recipe, Stack, Stored
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.types import Branch, Mlp, Moe, TokenCapacity, Tokens

SPARSE = {"encoder": 3, "decoder": 3}


@dataclass(frozen=True)
class Switch:
    dense: T5
    n_experts: int
    capacity: int
    biased: bool  # the router
    sparse: dict[str, tuple[bool, ...]]


def read(config: Config) -> Switch:
    config.fixed("is_decoder", False)
    config.fixed("is_gated_act", False)
    config.fixed("num_selected_experts", 1)
    config.fixed("router_type", "tokens_masked")
    config.fixed("router_dtype", "float32")
    n_layers = config.layers("num_layers", 12)
    layers = {"encoder": n_layers, "decoder": config.layers("num_decoder_layers", n_layers, null=True)}
    if "num_decoder_layers" not in config.fields:
        layers["decoder"] = 12
    tied = config.flag("tie_word_embeddings", True)
    dense = T5(
        vocab_size=config.integer("vocab_size", 32128),
        max_length=None if config.get("n_positions") is None else config.integer("n_positions"),
        d_model=config.integer("d_model", 768),
        d_head=config.integer("d_kv", 64),
        d_ff=config.integer("d_ff", 2048),
        layers=layers,
        n_heads=config.integer("num_heads", 12),
        buckets=config.integer("relative_attention_num_buckets", 32),
        farthest=config.integer("relative_attention_max_distance", 128),
        eps=config.number("layer_norm_epsilon", 1e-6),
        activation=config.word("dense_act_fn", "relu", ACTIVATIONS),
        gated=False,
        tied=tied,
        scaled=tied,
    )
    return Switch(
        dense=dense,
        n_experts=read_count(config, "num_experts", 8),
        capacity=config.integer("expert_capacity", 64),
        biased=config.flag("router_bias", False),
        sparse={stack: _sparse(config, stack, layers[stack]) for stack in layers},
    )


def _sparse(config: Config, stack: str, n_layers: int) -> tuple[bool, ...]:
    count = config.integer(f"num_sparse_{stack}_layers", SPARSE[stack], least=0)
    step = config.integer(f"{stack}_sparse_step", n_layers // count if count else n_layers, least=0, null=True)
    return tuple(step > 0 and (layer % step == 1 or step == 1) for layer in range(n_layers))


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m = read(config)
    out = t5.spec(m.dense, head)
    router: dict[str, Any] = {"top_k": 1, "capacity": {"type": "tokens", "per_expert": m.capacity}}
    expert = {"type": "mlp", "d_ff": m.dense.d_ff, "activation": m.dense.activation}
    moe = {"type": "moe", "n_experts": m.n_experts, "expert": expert,
           "router": router | ({"bias": True} if m.biased else {})}  # fmt: skip
    for name, sparse in m.sparse.items():
        stack = out["stacks"][name]
        if not m.dense.tied:
            del stack["input"]["sum"][0]["weights"]
        dense = stack["blocks"].pop("main")
        blocks = {"dense": dense, "sparse": [*dense[:-1], dense[-1] | {"op": moe}]}
        kinds = ["sparse" if is_sparse else "dense" for is_sparse in sparse]
        stack["blocks"] = {kind: blocks[kind] for kind in sorted(set(kinds))}
        stack["layers"] = entries(kinds)
    return out


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m = read(config)
    found = t5.names(m.dense, head, "mlp")
    recipes: dict[str, Recipe] = dict(found.recipes)
    for stack, sparse in m.sparse.items():
        for layer in (layer for layer, is_sparse in enumerate(sparse) if is_sparse):
            ours, last = f"{stack}.{layer}.moe", 2 if stack == "decoder" else 1
            theirs = f"{stack}.block.{layer}.layer.{last}.mlp"
            recipes[f"{ours}.pre_norm.weight"] = recipes.pop(f"{stack}.{layer}.mlp.pre_norm.weight")
            for part, name in {"up": "wi", "down": "wo"}.items():
                del recipes[f"{stack}.{layer}.mlp.{part}.weight"]
                each = tuple(Stored(f"{theirs}.experts.expert_{i}.{name}.weight") for i in range(m.n_experts))
                recipes[f"{ours}.experts.{part}.weight"] = Stack(each, 0)
            for role in ("weight", "bias") if m.biased else ("weight",):
                recipes[f"{ours}.router.{role}"] = Stored(f"{theirs}.router.classifier.{role}")
    if m.dense.tied:
        return TensorMap(recipes, found.prefix, found.unread, found.copies)
    # Untied means three tables here: nothing reads the shared one.
    del recipes["vocab.weight"]
    for stack, text in {"encoder": "text", "decoder": "target"}.items():
        recipes[f"{stack}.{text}.tokens.weight"] = Stored(f"{stack}.embed_tokens.weight")
    return TensorMap(recipes, found.prefix, (*found.unread, "shared.weight"))


def to_config(resolved: Resolved) -> dict[str, Any]:
    if set(resolved.stacks) != {"encoder", "decoder"}:
        raise CannotSay("there are two stacks, encoder and decoder")
    tied = expect(Tokens, resolved.stacks["encoder"].inputs[0].sum[0], "the input").weights is not None
    mixtures = {stack: all_of(resolved, Moe, stack) for stack in ("encoder", "decoder")}
    moe: Moe = only({*mixtures["encoder"], *mixtures["decoder"]}, "mixture of experts")
    fields = t5.measured(resolved, expect(Mlp, moe.expert, "the expert"))
    for name in ("feed_forward_proj", "is_gated_act", "scale_decoder_outputs"):
        del fields[name]  # no fields of this family
    for name in mixtures:
        stack = resolved.stacks[name]
        last = [expect(Branch, stack.bodies[layer.body][-1], "a step").op for layer in stack.layers]
        sparse = [layer for layer, op in enumerate(last) if isinstance(op, Moe)]
        step = 1 if sparse[0] == 0 else sparse[1] - sparse[0] if len(sparse) > 1 else len(last)
        fields |= {f"num_sparse_{name}_layers": len(sparse), f"{name}_sparse_step": step}
    return fields | {
        "tie_word_embeddings": tied,
        "num_experts": moe.n_experts,
        "expert_capacity": expect(TokenCapacity, moe.router.capacity, "the capacity").per_expert,
        "router_bias": moe.router.bias,
    }


FAMILY = Family(
    model_type="switch_transformers",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"SwitchTransformersForConditionalGeneration": "tokens", "SwitchTransformersModel": "none"},
    inert=frozenset([
        "dropout_rate", "router_jitter_noise", "router_z_loss_coef", "router_aux_loss_coef", "add_router_probs",
        "router_ignore_padding_tokens", "batch_prioritized_routing", "capacity_factor", "min_expert_capacity",
        "feed_forward_proj",
    ]),
    encoder_decoder=True,
)  # fmt: skip
