"""GShard's and ST-MoE's mixtures, and these two and GLaM whole, in every form; `make_mixtures.py` made the fixtures.

Places in experts depend on all tokens, so none of these steps. The references' counts are those of their parameters.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from archspec import zoo
from archspec.spec import Resolved, load_spec, resolve
from compiler.cost.report import cost
from compiler.lower.program import lower
from tests.parity.targets import Frozen, everywhere, frozen, meaning
from tests.parity.test_transformer_base import TABLE as TORCH
from tests.zoo import renaming_pairs as p
from tests.zoo.renaming import L, Stored, Table, Target, renamed
from tests.zoo.shrink import resized, shrunk


def mixture(name: str, **sizes: Any) -> dict[str, Any]:
    """The mixture of a zoo model's encoder, made small."""
    op: dict[str, Any] = zoo.read(name)["stacks"]["encoder"]["blocks"]["sparse"]["set"]["/1/op"]
    return resized(op, {"n_experts": 4, "d_ff": 24, **sizes})


def module(*steps: dict[str, Any]) -> Resolved:
    """These steps on given vectors, nothing else."""
    stack = {
        "d_model": 16, "input": {"sum": [{"type": "features", "name": "x"}]}, "blocks": {"main": list(steps)},
        "layers": ["main"],
    }  # fmt: skip
    return resolve(load_spec({"archspec": 1, "name": "m", "max_length": 32, "stacks": {"decoder": stack}}))


def turned(name: str) -> Target:
    """A stored matrix, or one for each expert, with its last two axes exchanged."""
    return lambda stored, match: stored[match.expand(name)].mT


def gshard(ours: str, theirs: str) -> Table:
    return {
        ours + r"router\.weight": turned(f"{theirs}gate.w_gating"),
        ours + r"experts\.up\.weight": turned(f"{theirs}experts.w1"),
        ours + r"experts\.down\.weight": turned(f"{theirs}experts.w2"),
    }


def taken(name: str, half: int | None = None) -> Target:
    """A stored tensor, or where the name counts experts all of theirs; half: the first or the second part of each."""

    def target(stored: Stored, match: re.Match[str]) -> torch.Tensor:
        path = match.expand(name)
        parts = [stored[path % e] for e in range(4)] if "%d" in path else [stored[path]]
        parts = parts if half is None else [x.chunk(2)[half] for x in parts]
        return torch.stack(parts) if "%d" in path else parts[0]

    return target


def gated(ours: str, theirs: str) -> Table:
    """That package's gated layer, whose first linear layer gives up and gate, in this order."""
    kind = r"\.(?P<kind>weight|bias)"
    return {
        ours + "up" + kind: taken(rf"{theirs}0.\g<kind>", 0),
        ours + "gate" + kind: taken(rf"{theirs}0.\g<kind>", 1),
        ours + r"inner_norm\.weight": taken(f"{theirs}1.mult_bias"),
        ours + "down" + kind: taken(rf"{theirs}2.\g<kind>"),
    }


def st_moe(ours: str, theirs: str) -> Table:
    return {
        ours + r"router\.weight": f"{theirs}gate.to_gates.weight",
        **gated(ours + r"experts\.", f"{theirs}experts.experts.%d.net."),
    }


def every_other(name: str, mirrored: bool = False) -> Target:
    """A layer's tensor among those of its kind: every other layer is one."""
    return lambda stored, m: (lambda x: x.mT if mirrored else x)(stored[m.expand(name) % (int(m[1]) // 2)])


GLAM: Table = {
    r"vocab\.weight": "tokens.weight",
    r"decoder\.final_norm\.weight": "last.weight",
    L + r"attention\.([qkvo])\.weight": r"attention.\1.SelfAttention.\2.weight",
    L + r"attention\.relative_bias\.weight": r"attention.\1.SelfAttention.relative_attention_bias.weight",
    L + r"attention\.pre_norm\.weight": r"attention.\1.layer_norm.weight",
    L + r"moe\.pre_norm\.weight": every_other("norm.%d.weight"),
    L + r"moe\.router\.weight": every_other("moe.%d.gate.w_gating", mirrored=True),
    L + r"moe\.experts\.up\.weight": every_other("moe.%d.experts.w1", mirrored=True),
    L + r"moe\.experts\.down\.weight": every_other("moe.%d.experts.w2", mirrored=True),
    L + r"gated_mlp\.pre_norm\.weight": every_other("ff.%d.layer_norm.weight"),
    L + r"gated_mlp\.gate\.weight": every_other("ff.%d.DenseReluDense.wi_0.weight"),
    L + r"gated_mlp\.up\.weight": every_other("ff.%d.DenseReluDense.wi_1.weight"),
    L + r"gated_mlp\.down\.weight": every_other("ff.%d.DenseReluDense.wo.weight"),
}


def same_everywhere(spec: Resolved, given: Frozen, table: Table, folder: Path) -> None:
    program = lower(spec)
    weights = {path: x.contiguous() for path, x in renamed(program.parameter_paths(), given.weights, table).items()}
    (expected,) = given.outputs.values()
    inputs = {name: given.inputs[name] for name in program.main.inputs if name in given.inputs}  # in their order
    everywhere(program, weights, inputs, expected, folder, steps=False)
    counted = cost(spec).parameters
    assert counted.total == counted.stored == sum(x.numel() for x in given.weights.values())
    # Of four experts a token uses the chosen ones.
    experts = sum(x.numel() for name, x in given.weights.items() if ".experts." in f".{name}")
    (top,) = {node.attrs["top_k"] for graph in program.graphs() for node in graph.nodes if node.op == "experts"}
    assert counted.active == counted.total - experts * (4 - top) // 4
    roomy = lower(spec_with_room(spec))
    assert float((meaning(roomy, weights, given.inputs) - expected).abs().max()) > 1e-2  # places matter


def spec_with_room(spec: Resolved) -> Resolved:
    """The same where every choice finds a place."""
    return resolve(load_spec(resized(spec.spec.model_dump(mode="json"), {"capacity": None})))


@pytest.mark.parametrize(("name", "factor"), [("roomy", 2), ("tight", 0.9)])
def test_gshard(name: str, factor: float, tmp_path: Path) -> None:
    spec = module({"op": mixture("gshard-600b", factor=factor), "residual": "replace"})
    same_everywhere(spec, frozen(f"gshard_{name}"), gshard(L + r"moe\.", ""), tmp_path)


@pytest.mark.parametrize(("name", "top_k", "factor"), [("roomy", 2, 2), ("tight", 3, 0.9)])
def test_st_moe(name: str, top_k: int, factor: float, tmp_path: Path) -> None:
    """That package's experts have biases, and GELU by the error function."""
    expert = {
        "type": "gated_mlp", "d_ff": 42, "activation": "gelu", "inner_norm": "gain", "bias": ["up", "gate", "down"]
    }  # fmt: skip
    op = mixture("st-moe-l", top_k=top_k, factor=factor, d_ff=42, expert=expert)
    same_everywhere(
        module({"op": op, "residual": "replace"}), frozen(f"st_moe_{name}"), st_moe(L + r"moe\.", ""), tmp_path
    )


SIZES = {
    "vocab_size": 53, "max_length": 32, "d_model": 16, "n_heads": 4, "d_head": 6, "d_ff": 24, "n_experts": 4,
    "factor": 0.9, "buckets": 8, "max": 10,
}  # fmt: skip


def test_glam(tmp_path: Path) -> None:
    spec = shrunk("glam-64b-64e", {"decoder": [{"repeat": 2, "of": ["sparse", "dense"]}]}, SIZES)
    same_everywhere(spec, frozen("glam"), GLAM, tmp_path)


def of_both(layers: list[Any]) -> dict[str, list[Any]]:
    return {"encoder": layers, "decoder": layers}


GSHARD: Table = {
    p.S + r"attention\.([qkvo])\.weight": r"core.\1.layers.\2.self_attn.\3.weight",
    p.S + r"attention_2\.([qkvo])\.weight": r"core.\1.layers.\2.multihead_attn.\3.weight",
    **gshard(p.S + r"moe\.", r"core.\1.layers.\2.linear1.mixture."),
    **{path.replace("mlp", "(?:mlp|moe)"): target for path, target in TORCH.items()},
}


def test_gshard_model(tmp_path: Path) -> None:
    """torch's Transformer with the mixture in every other layer."""
    spec = shrunk("gshard-600b", of_both([{"repeat": 2, "of": ["main", "sparse"]}]), SIZES)
    same_everywhere(spec, frozen("gshard"), GSHARD, tmp_path)


ST_MOE: Table = {path: to for path, to in p.T5.items() if "DenseReluDense" not in str(to)}
for stack, last in (("encoder", 1), ("decoder", 2)):  # the feed-forward part is the last of a layer
    ours, theirs = rf"({stack})\.(\d+)\.", rf"\1.block.\2.layer.{last}."
    ST_MOE |= gated(ours + r"gated_mlp\.", theirs + "DenseReluDense.net.")
    ST_MOE |= st_moe(ours + r"moe\.", theirs + "DenseReluDense.mixture.")
    ST_MOE[ours + r"moe\.pre_norm\.weight"] = theirs + "layer_norm.weight"


def test_st_moe_model(tmp_path: Path) -> None:
    """T5 with the mixture in every fourth layer, and the package's gated layer in the others."""
    layers = [{"repeat": 1, "of": ["main", "main", "main", "sparse"]}, "main"]
    spec = shrunk("st-moe-32b", of_both(layers), SIZES | {"d_ff": 21})
    same_everywhere(spec, frozen("st_moe"), ST_MOE, tmp_path)


@pytest.mark.parametrize(
    ("name", "total", "active"),
    [("glam-64b-64e", "1.2e12", "9.66e10"), ("st-moe-32b", "2.69e11", None), ("st-moe-l", "4.1e9", None)],
)
def test_published_sizes(name: str, total: str, active: str | None) -> None:
    """As arXiv 2112.06905 and 2202.08906 round them."""
    found = cost(resolve(load_spec(zoo.read(name))), context=128).parameters
    for ours, published in ((found.total, total), (found.active, active)):
        assert published is None or float(f"{ours:.{len(published.partition('e')[0]) - 2}e}") == float(published)
