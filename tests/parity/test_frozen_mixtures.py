"""GShard's and ST-MoE's mixtures and GLaM's composition against fixtures, in every form; `make_mixtures.py` made them.

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
from tests.zoo.renaming import L, Stored, Table, Target, renamed
from tests.zoo.shrink import resized, shrunk

RMS = {"type": "rms", "eps": 0}  # torch's normalize has an eps of its own, 1e-12 on the length


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


def of_experts(name: str, half: int | None = None) -> Target:
    """The experts' tensors one after the other; half: the first or the second part of each."""

    def target(stored: Stored, match: re.Match[str]) -> torch.Tensor:
        parts = [stored[match.expand(name) % e] for e in range(4)]
        return torch.stack(parts if half is None else [x.chunk(2)[half] for x in parts])

    return target


def halves(name: str, which: int) -> Target:
    return lambda stored, match: stored[match.expand(name)].chunk(2)[which]


GSHARD: Table = {
    L + r"moe\.router\.weight": turned("gate.w_gating"),
    L + r"moe\.experts\.up\.weight": turned("experts.w1"),
    L + r"moe\.experts\.down\.weight": turned("experts.w2"),
}
# The first linear layer gives up and gate, in this order.
ST_MOE: Table = {
    L + r"moe\.router\.weight": "gate.to_gates.weight",
    L + r"moe\.experts\.up\.(weight|bias)": of_experts(r"experts.experts.%d.net.0.\2", 0),
    L + r"moe\.experts\.gate\.(weight|bias)": of_experts(r"experts.experts.%d.net.0.\2", 1),
    L + r"moe\.experts\.inner_norm\.weight": of_experts("experts.experts.%d.net.1.mult_bias"),
    L + r"moe\.experts\.down\.(weight|bias)": of_experts(r"experts.experts.%d.net.2.\2"),
}


def dense(ours: str, theirs: str) -> Table:
    """A gated feed-forward layer behind a norm, `theirs` being the norm's place in a row of modules."""
    return {
        L + rf"{ours}\.pre_norm\.weight": f"{theirs}.0.gamma",
        L + rf"{ours}\.up\.(weight|bias)": halves(rf"{theirs}.1.\2", 0),
        L + rf"{ours}\.gate\.(weight|bias)": halves(rf"{theirs}.1.\2", 1),
        L + rf"{ours}\.inner_norm\.weight": f"{theirs}.2.mult_bias",
        L + rf"{ours}\.down\.(weight|bias)": rf"{theirs}.3.\2",
    }


BLOCK: Table = {
    **dense("gated_mlp", "ff_before.net"), **dense("gated_mlp_2", "ff_after.net"),
    L + r"moe\.pre_norm\.weight": "moe_prenorm.gamma",
    **{path: of_experts(f"moe.experts.experts.%d.net.{n}", half) for path, n, half in (
        (L + r"moe\.experts\.inner_norm\.weight", "1.mult_bias", None),
        (L + r"moe\.experts\.up\.(weight|bias)", r"0.\2", 0), (L + r"moe\.experts\.gate\.(weight|bias)", r"0.\2", 1),
        (L + r"moe\.experts\.down\.(weight|bias)", r"2.\2", None),
    )},
    L + r"moe\.router\.weight": "moe.gate.to_gates.weight",
}  # fmt: skip


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
    everywhere(program, weights, given.inputs, expected, folder, steps=False)
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
    same_everywhere(spec, frozen(f"gshard_{name}"), GSHARD, tmp_path)


def st_moe(top_k: int, factor: float) -> dict[str, Any]:
    """That package's experts have biases, and GELU by the error function."""
    return mixture(
        "st-moe-l", top_k=top_k, factor=factor, d_ff=42, expert={
            "type": "gated_mlp", "d_ff": 42, "activation": "gelu", "inner_norm": "gain", "bias": ["up", "gate", "down"]
        },
    )  # fmt: skip


@pytest.mark.parametrize(("name", "top_k", "factor"), [("roomy", 2, 2), ("tight", 3, 0.9)])
def test_st_moe(name: str, top_k: int, factor: float, tmp_path: Path) -> None:
    spec = module({"op": st_moe(top_k, factor), "residual": "replace"})
    same_everywhere(spec, frozen(f"st_moe_{name}"), ST_MOE, tmp_path)


def test_st_moe_between_dense_layers(tmp_path: Path) -> None:
    op = st_moe(2, 0.9)
    steps = ({"pre_norm": RMS, "op": op["expert"]}, {"pre_norm": RMS, "op": op}, {"pre_norm": RMS, "op": op["expert"]})
    same_everywhere(module(*steps), frozen("st_moe_block"), BLOCK, tmp_path)


def test_glam(tmp_path: Path) -> None:
    sizes = {
        "vocab_size": 53, "max_length": 32, "d_model": 16, "n_heads": 4, "d_head": 6, "d_ff": 24, "n_experts": 4,
        "factor": 0.9, "buckets": 8, "max": 10,
    }  # fmt: skip
    spec = shrunk("glam-64b-64e", {"decoder": [{"repeat": 2, "of": ["sparse", "dense"]}]}, sizes)
    same_everywhere(spec, frozen("glam"), GLAM, tmp_path)


@pytest.mark.parametrize(
    ("name", "total", "active"),
    [("glam-64b-64e", "1.2e12", "9.66e10"), ("st-moe-32b", "2.69e11", None), ("st-moe-l", "4.1e9", None)],
)
def test_published_sizes(name: str, total: str, active: str | None) -> None:
    """As arXiv 2112.06905 and 2202.08906 round them."""
    found = cost(resolve(load_spec(zoo.read(name))), context=128).parameters
    for ours, published in ((found.total, total), (found.active, active)):
        assert published is None or float(f"{ours:.{len(published.partition('e')[0]) - 2}e}") == float(published)
