"""Mixtures of experts and latent attention, emitted, against the reference meaning and against transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch

from archspec.spec import load_spec, resolve
from compiler.lower.program import lower
from tests.emit_torch.exact import check, close, compiled_steps, drawn, emitted, stepped
from tests.emit_torch.packages import ids, spec
from tests.zoo import renaming as r
from tests.zoo.test_meaning import CASES, model_of, small

PASSES = pytest.mark.parametrize("passes", [None, ()], ids=["all passes", "no passes"])
ZOO = ["mixtral-8x7b", "qwen1.5-moe-a2.7b", "qwen3-30b-a3b", "deepseek-v2", "deepseek-v2-lite", "deepseek-v3"]

GATED = {"type": "gated_mlp", "d_ff": 12, "activation": "silu"}
PLAIN = {"type": "mlp", "d_ff": 12, "activation": "relu2"}
BIASES = ["up", "gate", "down"]
VARIANTS: dict[str, dict[str, Any]] = {
    "softmax": {},
    "one of them": {"router": {"top_k": 1}},
    "all of them": {"router": {"top_k": 6}},
    "plain experts": {"expert": PLAIN},
    "plain experts with biases": {"expert": {**PLAIN, "bias": ["up", "down"]}},
    "linear experts": {"expert": {**PLAIN, "activation": "identity"}},
    "bounded, shifted, biased": {
        "expert": {**GATED, "activation": "gelu_quick", "bias": BIASES, "up_offset": 1, "clamp": 0.5},
        "router": {"score": "logits", "bias": True, "top_k": 3, "weights": "softmax_selected"},
    },
    "sigmoid, sum to one": {
        "router": {"score": "sigmoid", "top_k": 3, "weights": {"type": "sum_to_one", "eps": 1e-3}, "scale": 2.5}
    },
    "chosen with a bias": {"router": {"score": "sigmoid", "select_bias": True, "top_k": 2}},
    "groups by their best": {"router": {"top_k": 2, "groups": {"count": 3, "keep": 2}}},
    "groups by their two best": {
        "router": {
            "score": "sigmoid", "select_bias": True, "top_k": 2, "groups": {"count": 3, "keep": 2, "score": "top2_sum"}
        }
    },
    "factors inside": {"expert": {**PLAIN, "inner_norm": "gain"}},
    "raw scores": {"router": {"score": "logits", "top_k": 2}},
    "inputs weighed": {"router": {"top_k": 2, "weigh": "input"}},
    "shared": {"shared": {"expert": {**GATED, "d_ff": 20}}},
    "shared behind a gate": {"shared": {"expert": {**PLAIN, "d_ff": 20}, "gate": "sigmoid"}},
}  # fmt: skip


def mixture(fields: dict[str, Any]) -> dict[str, Any]:
    moe = {"type": "moe", "n_experts": 6, "expert": GATED, "router": {"top_k": 2}} | fields
    attention = {"type": "attention", "n_heads": 2, "mask": "causal"}
    return spec(blocks={"main": [{"pre_norm": "rms", "op": attention}, {"pre_norm": "rms", "op": moe}]})


def latent(fields: dict[str, Any]) -> dict[str, Any]:
    op = {
        "type": "latent_attention", "n_heads": 2, "q_rank": 6, "kv_rank": 8, "d_nope": 4, "d_rope": 2, "d_value": 6,
        "rank_norm": "rms", "position": [{"type": "rope", "theta": 1000, "dims": 2}], "mask": "causal",
    } | fields  # fmt: skip
    mlp = {"type": "gated_mlp", "d_ff": 24, "activation": "silu"}
    return spec(blocks={"main": [{"pre_norm": "rms", "op": op}, {"pre_norm": "rms", "op": mlp}]})


@PASSES
@pytest.mark.parametrize("name", ZOO)
def test_models(name: str, passes: Any, tmp_path: Path) -> None:
    check(small(CASES[name], name), ids(2, 24), tmp_path, passes)


@pytest.mark.parametrize("name", VARIANTS)
def test_routing(name: str, tmp_path: Path) -> None:
    check(lower(resolve(load_spec(mixture(VARIANTS[name])))), ids(2, 24), tmp_path)


def test_each_routing_bites() -> None:
    """No two variants compute the same, so that the comparison above is not one of equal things."""
    texts = {str(lower(resolve(load_spec(mixture(fields)))).blocks) for fields in VARIANTS.values()}
    assert len(texts) == len(VARIANTS)


WINDOW = {"type": "and", "of": ["causal", {"type": "window", "behind": 5}]}


@pytest.mark.parametrize(
    "fields", [{}, {"mask": WINDOW}, {"q_rank": None, "rank_norm": None}, {"mask": "full"}], ids=str
)
def test_latent_attention(fields: dict[str, Any], tmp_path: Path) -> None:
    model = check(lower(resolve(load_spec(latent(fields)))), ids(2, 24), tmp_path)
    if fields.get("mask") == "full":
        with pytest.raises(RuntimeError, match=r"cannot run step by step: latent_attention: its mask 'full'"):
            model.new_state(1, 4)


def test_only_latents_are_kept(tmp_path: Path) -> None:
    """One latent and one rotary key a token, in one place from the first step to the last."""
    program = lower(resolve(load_spec(latent({}))))
    model = emitted(program, drawn(program), tmp_path)
    state = model.new_state(3, 40)
    assert {tuple(t.shape) for layer in state.caches for t in layer} == {(3, 40, 8), (3, 1, 40, 2)}
    places = [t.data_ptr() for layer in state.caches for t in layer]
    for size in (5, 1, 1, 30):
        _, state = model.step(ids(3, size), state)
    assert [t.data_ptr() for layer in state.caches for t in layer] == places


def test_experts_that_no_token_chose_are_not_touched(tmp_path: Path) -> None:
    """One token reads two of six experts: the others may be anything, and each expert gets its own tokens at once."""
    program = lower(resolve(load_spec(mixture({}))))
    weights = drawn(program)
    token = ids(1, 1)
    expected = emitted(program, weights, tmp_path)(token)
    same = 0
    for e in range(6):
        broken = {k: v.clone() for k, v in weights.items()}
        broken["decoder.0.moe.experts.down.weight"][e] = float("nan")
        same += torch.equal(emitted(program, broken, tmp_path)(token), expected)
    assert same == 4


def test_one_token_on_a_device_that_must_not_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path for a GPU, all chosen experts in one product, means the same."""
    for name in ("plain experts with biases", "bounded, shifted, biased", "inputs weighed"):
        program = lower(resolve(load_spec(mixture(VARIANTS[name]))))
        model = emitted(program, drawn(program), tmp_path / name)
        tokens = ids(1, 5)
        expected = stepped(model, tokens, None, [1])
        with monkeypatch.context() as patch:
            run = type(model).run.__globals__
            patch.setitem(run, "run_hit_experts", None)  # would fail if it were called
            patch.setattr(torch.Tensor, "is_cuda", True, raising=False)
            close(stepped(model, tokens, None, [1]), expected)


@pytest.mark.parametrize("name", ["mixtral-8x7b", "qwen1.5-moe-a2.7b", "deepseek-v2-lite", "deepseek-v3"])
def test_against_transformers(name: str, tmp_path: Path) -> None:
    """The same logits with transformers' weights in float32, at once and in steps."""
    case, tokens = CASES[name], ids(2, 17)
    theirs = model_of(case)
    program = small(case, name)
    weights = r.renamed(program.parameter_paths(), dict(theirs.state_dict()), case.table)
    model = emitted(program, weights, tmp_path)
    with torch.no_grad():
        expected = theirs(input_ids=tokens).logits
    close(model(tokens), expected, 1e-4)
    close(stepped(model, tokens, None, [1]), expected, 1e-4)
    close(stepped(model, tokens, None, [7, 2]), expected, 1e-4)


def test_a_branch_named_like_a_function_of_the_file(tmp_path: Path) -> None:
    """The value `run.experts` must not hide the function `run_experts`, nor `keep.groups` another."""
    document = mixture(VARIANTS["groups by their best"])
    document["stacks"]["decoder"]["blocks"]["main"][1]["name"] = "run"
    document["stacks"]["decoder"]["blocks"]["main"][0]["name"] = "keep"
    check(lower(resolve(load_spec(document))), ids(2, 24), tmp_path)


def test_a_compiled_step_is_compiled_once_for_all_tokens(tmp_path: Path) -> None:
    program = lower(resolve(load_spec(mixture(VARIANTS["shared behind a gate"]))))
    model = emitted(program, drawn(program), tmp_path)
    compiled_steps(model, ids(1, 12))
