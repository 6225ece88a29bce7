"""Decoders like LLaMA whose layers, all or some of them, have a mixture of experts in place of the MLP."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archspec.interop.hf import rms_decoder, rms_tensors
from archspec.interop.hf.config import Config
from archspec.interop.hf.experts import PARTS, Experts, gated, measure, moe, only, stacked
from archspec.interop.hf.family import CannotSay, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import expect
from archspec.interop.hf.rms_decoder import STACK, Decoder
from archspec.interop.recipe import Recipe, Stored
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.types import Branch, GatedMlp, Moe


@dataclass(frozen=True)
class MoeDecoder:
    """`decoder` with its MLP in the layers where `sparse` is false, and `experts` in the others."""

    decoder: Decoder
    experts: Experts
    sparse: tuple[bool, ...]


@dataclass(frozen=True)
class Names:
    """What the family calls the feed-forward part of a layer, and the matrices of an expert."""

    mlp: str = "mlp"
    shared: str = "shared_expert"
    expert: Mapping[str, str] = field(default_factory=lambda: PARTS)


def read_sparse(config: Config, n_layers: int) -> tuple[bool, ...]:
    """Which layers have experts: every `decoder_sparse_step`-th, save those in `mlp_only_layers` (Qwen2MoeConfig)."""
    step = config.integer("decoder_sparse_step", 1)
    dense = config.get("mlp_only_layers", [])
    if not isinstance(dense, list) or not all(isinstance(layer, int) for layer in dense):
        raise config.fail("mlp_only_layers", f"found {dense!r}, expected a list of layer numbers")
    return tuple(layer not in dense and (layer + 1) % step == 0 for layer in range(n_layers))


def spec(m: MoeDecoder, head: HeadKind) -> dict[str, Any]:
    """The dense decoder's spec, with blocks by window and by kind of feed-forward layer."""
    out = rms_decoder.spec(m.decoder, head)
    stack = out["stacks"][STACK]
    attention, mlp = next(iter(stack["blocks"].values()))
    kinds = list(zip(m.decoder.windows, m.sparse, strict=True))
    blocks: dict[str, Any] = {}
    for window, sparse in dict.fromkeys(kinds):
        mask: Any = {"type": "window", "behind": window} if window else "causal"
        feed = {**mlp, "op": moe(m.experts)} if sparse else mlp
        name = _name(m, window, sparse)
        if not blocks:
            first = (window, sparse)
            blocks[name] = [{**attention, "op": {**attention["op"], "mask": mask}}, feed]
            continue
        changes = ({"/0/op/mask": mask} if window != first[0] else {}) | (
            {"/1/op": feed["op"]} if sparse != first[1] else {}
        )
        blocks[name] = {"like": next(iter(blocks)), "set": changes}
    stack["blocks"] = blocks
    stack["layers"] = entries([_name(m, *kind) for kind in kinds])
    return out


def _name(m: MoeDecoder, window: int | None, sparse: bool) -> str:
    words = []
    if len(set(m.decoder.windows)) > 1:
        words.append(f"window_{window}" if window else "full")
    if len(set(m.sparse)) > 1:
        words.append("sparse" if sparse else "dense")
    return "_".join(words) or "main"


def tensors(m: MoeDecoder, head: HeadKind, names: Names) -> TensorMap:
    dense = rms_tensors.tensors(m.decoder, head)
    recipes: dict[str, Recipe] = dict(dense.recipes)
    for layer, sparse in enumerate(m.sparse):
        if not sparse:
            continue
        mlp, ours, theirs = f"{STACK}.{layer}.gated_mlp.", f"{STACK}.{layer}.moe", f"model.layers.{layer}.{names.mlp}"
        norm = recipes[f"{mlp}pre_norm.weight"]
        recipes = {path: recipe for path, recipe in recipes.items() if not path.startswith(mlp)}
        recipes[f"{ours}.pre_norm.weight"] = norm
        recipes[f"{ours}.router.weight"] = Stored(f"{theirs}.gate.weight")
        recipes |= stacked(f"{ours}.experts", f"{theirs}.experts", m.experts.count, names.expert)
        if m.experts.shared:
            recipes |= gated(f"{ours}.shared", f"{theirs}.{names.shared}")
        if m.experts.shared_gate:
            recipes[f"{ours}.shared_gate.weight"] = Stored(f"{theirs}.{names.shared}_gate.weight")
    return TensorMap(recipes, dense.prefix, dense.unread, dense.copies, dense.old_endings)


def measured(resolved: Resolved) -> MoeDecoder:
    """The numbers of a resolved spec; CannotSay where no layer has experts or the layers differ too much."""
    stack = resolved.stacks[resolved.output]
    bodies = [stack.bodies[layer.body] for layer in stack.layers]
    if any(len(body) != 2 for body in bodies):
        raise CannotSay("a layer is one attention and one feed-forward part")
    feeds = [expect(Branch, body[1], "a step").op for body in bodies]
    experts: Experts = only({measure(op) for op in feeds if isinstance(op, Moe)}, "mixture of experts")
    dense = [expect(GatedMlp, op, "the operator") for op in feeds if not isinstance(op, Moe)]
    alone = GatedMlp(d_ff=experts.d_ff, activation=experts.activation)
    decoder = rms_decoder.measure(resolved, dense[0] if dense else alone)
    return MoeDecoder(decoder, experts, tuple(isinstance(op, Moe) for op in feeds))


def sparse_fields(m: MoeDecoder) -> dict[str, Any]:
    """The fields of Qwen's families about their experts."""
    return {
        "num_experts": m.experts.count,
        "num_experts_per_tok": m.experts.top_k,
        "moe_intermediate_size": m.experts.d_ff,
        "norm_topk_prob": m.experts.normalised,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [layer for layer, sparse in enumerate(m.sparse) if not sparse],
    }
