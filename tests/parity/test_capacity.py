"""Places in experts: against transformers, and against places given out token by token."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import SwitchTransformersConfig, SwitchTransformersForConditionalGeneration

from archspec.spec import load_spec, resolve
from compiler import ops
from compiler.lower.program import lower
from compiler.ops.context import Context
from tests.emit_torch.exact import compiled_steps, drawn, emitted
from tests.emit_torch.packages import spec
from tests.parity.counting import counts, operations
from tests.parity.emitted import emitted_gap, meant
from tests.parity.models import VOCAB, ids, redraw
from tests.parity.pairs import both_everywhere
from tests.parity.targets import meaning
from tests.zoo import renaming as r
from tests.zoo import renaming_pairs as p
from tests.zoo.shrink import shrunk

torch.set_num_threads(1)
TOKENS = {"type": "tokens", "per_expert": 2}
FACTOR = {"type": "factor", "factor": 1.25, "min": 2}
FRACTION = {"type": "fraction", "fraction": 0.3, "over": "batch"}


def one_by_one(weights: Tensor, index: Tensor, experts: int, limit: int, above: float) -> Tensor:
    """The rule in words: all first choices in order, then all second ones; who comes to a full expert gets nothing."""
    out = torch.zeros_like(weights)
    for row in range(len(weights)):
        taken = [0] * experts
        for choice in range(weights.shape[2]):
            for token in range(weights.shape[1]):
                e, weight = int(index[row, token, choice]), float(weights[row, token, choice])
                if choice and weight <= above:
                    continue
                taken[e] += 1
                if taken[e] <= limit:
                    out[row, token, choice] = weight
    return out


@pytest.mark.parametrize(("capacity", "limit"), [(TOKENS, 2), (FACTOR, 3), ({"type": "fraction", "fraction": 0.3}, 4)])
@pytest.mark.parametrize("above", [None, 0.3])
def test_places_go_in_order(capacity: dict[str, Any], limit: int, above: float | None) -> None:
    logits = torch.randn(3, 11, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights, index = torch.softmax(logits, -1).topk(2, -1)
    fields = {"n_experts": 4, "top_k": 2, "capacity": capacity, "above": above}
    (found,) = ops.meaning("limit_choices").run([weights, index], {}, fields, Context())
    expected = one_by_one(weights, index, 4, limit, -1 if above is None else above)
    assert bool((expected == 0).any())
    torch.testing.assert_close(found, expected, atol=0, rtol=0)


def mixture(router: dict[str, Any], **more: Any) -> dict[str, Any]:
    expert = {"type": "gated_mlp", "d_ff": 12, "activation": "silu"} | more
    steps = [
        {"pre_norm": "rms", "op": {"type": "attention", "n_heads": 4, "mask": "causal"}},
        {"pre_norm": "rms", "op": {"type": "moe", "n_experts": 4, "expert": expert, "router": router}},
    ]
    return spec(blocks={"main": steps})


@pytest.mark.parametrize(
    "router",
    [
        {"top_k": 1, "capacity": TOKENS},
        {"top_k": 2, "capacity": TOKENS, "weights": "sum_to_one"},
        {"top_k": 2, "capacity": FACTOR, "later_choices": {"type": "threshold", "above": 0.35}},
        {"top_k": 1, "capacity": FRACTION},
        {"top_k": 2, "capacity": TOKENS, "weights": {"type": "sum_to_one", "of": "placed"}, "scale": 1.5},
        {"top_k": 2, "later_choices": {"type": "threshold", "above": 0.2}},
    ],
)
def test_package_means_what_the_spec_means(router: dict[str, Any], tmp_path: Path) -> None:
    assert emitted_gap(mixture(router), tmp_path / "p", ids(2, 13)) < 2e-5


@pytest.mark.parametrize("kind", ["gated_mlp", "mlp"])
def test_gain_inside_experts(kind: str, tmp_path: Path) -> None:
    assert emitted_gap(mixture({"top_k": 2}, type=kind, inner_norm="gain"), tmp_path / "p", ids(2, 13)) < 2e-5
    steps = mixture({"top_k": 2}, type=kind)
    assert (
        float(
            (
                meant(steps, 1, input_ids=ids(2, 13))
                - meant(mixture({"top_k": 2}, type=kind, inner_norm="gain"), 1, input_ids=ids(2, 13))
            )
            .abs()
            .max()
        )
        > 1e-3
    )


@pytest.mark.parametrize("capacity", [{"type": "fraction", "fraction": 1}, {"type": "factor", "factor": 4}])
def test_places_for_all_are_no_limit(capacity: dict[str, Any]) -> None:
    """Nothing is counted then, so the model can step."""
    for over in ("sequence", "batch"):
        program = lower(resolve(load_spec(mixture({"top_k": 2, "capacity": {**capacity, "over": over}}))))
        assert not any(node.op == "limit_choices" for graph in program.graphs() for node in graph.nodes)
    fewer = lower(resolve(load_spec(mixture({"top_k": 2, "capacity": {"type": "factor", "factor": 3.9}}))))
    assert any(node.op == "limit_choices" for graph in fewer.graphs() for node in graph.nodes)


def test_what_is_left_is_shared() -> None:
    """A token with one place left gives that expert all weight, one with none gives nothing."""
    weights, index = torch.tensor([[[0.6, 0.2]] * 4]), torch.tensor([[[0, 1], [0, 1], [0, 2], [0, 2]]])
    fields = {"n_experts": 3, "top_k": 2, "capacity": {"type": "tokens", "per_expert": 1}, "share": 0}
    (found,) = ops.meaning("limit_choices").run([weights, index], {}, fields, Context())
    expected = torch.tensor([[[0.75, 0.25], [0, 0], [0, 1], [0, 0]]])
    torch.testing.assert_close(found, expected)


def test_only_first_choices_of_fixed_places_can_step() -> None:
    op = ops.get("limit_choices")
    assert op.lookahead({"top_k": 1, "capacity": TOKENS}) is None
    for top_k, capacity in ((2, TOKENS), (1, FACTOR), (1, FRACTION), (1, {**TOKENS, "over": "batch"})):
        assert op.lookahead({"top_k": top_k, "capacity": capacity})


def stacked(match_to: str) -> r.Target:
    """The experts' matrices, one after the other."""
    return lambda stored, match: torch.stack([stored[match.expand(match_to) % e] for e in range(4)])


BLOCK = {"encoder": r"\1.block.\2.layer.1", "decoder": r"\1.block.\2.layer.2"}
SWITCH: r.Table = {
    **{
        rf"({stack})\.(\d+)\.{path}": to
        for stack, block in BLOCK.items()
        for path, to in {
            r"moe\.pre_norm\.weight": f"{block}.layer_norm.weight",
            r"moe\.router\.weight": f"{block}.mlp.router.classifier.weight",
            r"moe\.experts\.up\.weight": stacked(f"{block}.mlp.experts.expert_%d.wi.weight"),
            r"moe\.experts\.down\.weight": stacked(f"{block}.mlp.experts.expert_%d.wo.weight"),
            r"mlp\.up\.weight": f"{block}.mlp.wi.weight",
            r"mlp\.down\.weight": f"{block}.mlp.wo.weight",
        }.items()
    },
    **{path: to for path, to in p.T5.items() if "DenseReluDense" not in str(to)},
}


@pytest.mark.parametrize("padded", [False, True])
@torch.no_grad()
def test_switch_is_transformers_switch(padded: bool, tmp_path: Path) -> None:
    """Four places for some twenty tokens, padding among them: many find none. The decoder counts on in steps."""
    sizes: Any = {
        "vocab_size": VOCAB, "d_model": 32, "d_kv": 12, "d_ff": 48, "num_layers": 2, "num_decoder_layers": 2,
        "num_heads": 4, "num_experts": 4, "expert_capacity": 4, "num_sparse_encoder_layers": 1,
        "num_sparse_decoder_layers": 1, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 10,
        "pad_token_id": 0, "decoder_start_token_id": 0,
    }  # fmt: skip
    model = redraw(SwitchTransformersForConditionalGeneration(SwitchTransformersConfig(**sizes)))
    inputs = {"input_ids": ids(2, 23), "decoder_input_ids": ids(2, 19, seed=1)}
    if padded:
        inputs["attention_mask"] = torch.ones(2, 23, dtype=torch.long)
        inputs["attention_mask"][0, -6:] = 0
    layers = {"encoder": ["main", "sparse"], "decoder": ["main", "sparse"]}
    ours = {"vocab_size": VOCAB, "max_length": 64, "d_model": 32, "d_head": 12, "n_heads": 4, "d_ff": 48,
            "n_experts": 4, "buckets": 8, "max": 10, "per_expert": 4}  # fmt: skip
    spec = shrunk("switch-base-8", layers, ours)
    program = lower(spec)
    weights = r.renamed(program.parameter_paths(), model.state_dict(), SWITCH)
    expected = model(**inputs).logits
    both_everywhere(program, weights, inputs, expected, tmp_path)
    roomy = shrunk("switch-base-8", layers, {**ours, "per_expert": 64})
    assert float((meaning(lower(roomy), weights, inputs) - expected).abs().max()) > 1e-2
    one = {"input_ids": ids(1, 1), "decoder_input_ids": ids(1, 1, seed=1)}
    counts(spec, model, lambda: model(**one).logits)
    for module in model.modules():  # operations are counted as if all choices found a place
        if hasattr(module, "expert_capacity"):
            module.expert_capacity = 64
    operations(roomy, model, input_ids=ids(2, 48), decoder_input_ids=ids(2, 48, seed=1))


def test_places_in_a_compiled_step(tmp_path: Path) -> None:
    """The counters are part of the state, so one compiled step goes for all tokens."""
    program = lower(resolve(load_spec(mixture({"top_k": 1, "capacity": TOKENS}))))
    compiled_steps(emitted(program, drawn(program), tmp_path), ids(1, 9))
