"""The search with the compiler's cost model, through the API."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from archspec.errors import InputError
from archspec.spec import load_spec, resolve
from archspec.spec.canonical import spec_hash, variant_hash
from compiler.cost.report import cost
from search import run
from search.costed import CostEvaluator
from search.declared import DEFAULT_SPACE, DeclaredSpace, open_space
from search.describe import describe, precision
from search.evaluator import Setting
from search.space import tied, values_at
from store import open_store

SMALL_SPACE = {
    "archspec": 1,
    "name": "small",
    "vocab_size": 512,
    "max_length": 256,
    "stacks": {
        "decoder": {
            "d_model": {"$choice": [64, 128, 256], "as": "width"},
            "input": {"sum": ["tokens"]},
            "blocks": {
                "main": [
                    {
                        "pre_norm": "rms",
                        "op": {
                            "type": "attention",
                            "n_heads": 4,
                            "n_kv_heads": {"$choice": [1, 2, 3, 4], "as": "kv"},
                            "mask": "causal",
                        },
                    },
                    {
                        "pre_norm": "rms",
                        "op": {"type": "gated_mlp", "d_ff": {"$int": [64, 256, 64], "as": "ff"}, "activation": "silu"},
                    },
                ]
            },
            "layers": [{"repeat": {"$int": [1, 4], "as": "depth"}, "of": ["main"]}],
        }
    },
    "head": {"logits": "linear"},
}


def test_the_default_space_has_everything_that_it_should() -> None:
    space = open_space(None, context=8192)
    names = {hole.name.rsplit("/")[-1] for hole in space.holes}
    assert names == {
        "d_model", "n_heads", "n_kv_heads", "d_head", "feed_forward", "d_ff", "window", "blocks", "odd", "even",
        "weights", "cache",
    }  # fmt: skip
    assert sorted(len(group) for group in tied(space)) == [1] * 9 + [3] * 3
    first = space.fill(values_at(space, [0] * len(space.holes)))
    assert first["max_length"] == 8192
    assert json.loads(DEFAULT_SPACE.read_text())["max_length"] == 16384


def test_examinations_never_exceed_evaluations_and_both_are_the_cost_model() -> None:
    space, evaluator = open_space(None, context=4096), CostEvaluator(Setting(4096, 2, "a100-80gb"))
    for shift in range(4):
        place = [(i + shift) % len(hole.options) for i, hole in enumerate(space.holes)]
        spec = space.fill(values_at(space, place))
        examined = evaluator.examine(spec)
        evaluation = evaluator.evaluate(examined)
        report = cost(resolve(load_spec(spec)), context=4096, batch=2, device="a100-80gb")
        assert evaluation.memory.total == report.memory.total
        assert all(evaluation.memory.terms[name] >= value for name, value in examined.memory.terms.items())
        assert evaluation.memory.terms["weights"] == examined.memory.terms["weights"]
        assert evaluation.decode_tokens_per_second == report.speed.decode_tokens_per_second
        assert evaluation.parameters_active_non_embedding == report.parameters.non_embedding_active
        assert (evaluation.hash, evaluation.variant) == (report.hash, report.variant)


def test_the_stored_spec_is_the_variant_it_is_stored_under(tmp_path: Path) -> None:
    result = run(SMALL_SPACE, budget="2GB", context=128, trials=30, store=f"sqlite:///{tmp_path / 'a.db'}")
    assert result.evaluated > 10 and result.rejected > 0
    for candidate in result.candidates:
        resolved = resolve(load_spec(json.loads(candidate.spec)))
        assert (spec_hash(resolved), variant_hash(resolved)) == (candidate.hash, candidate.variant)


def test_a_resumed_study_brings_its_own_plan(tmp_path: Path) -> None:
    whole, parts = (f"sqlite:///{tmp_path / name}.db" for name in ("whole", "parts"))
    asked = {"budget": "1.2GB", "context": 64, "seed": 5, "device": "l4", "dtype": "fp16", "study": "s"}
    expected = run(SMALL_SPACE, trials=90, store=whole, **asked)
    run(SMALL_SPACE, trials=40, store=parts, **asked)
    assert run(resume=True, trials=90, store=parts) == expected
    with pytest.raises(InputError, match="another seed"):
        run(resume=True, seed=6, store=parts)
    with pytest.raises(InputError, match="another space"):
        run({**SMALL_SPACE, "vocab_size": 1024}, resume=True, store=parts)


def test_dtype_replaces_floats_and_leaves_quantised_ones() -> None:
    space = open_space(None, context=64, dtype="fp16")
    filled = [
        space.fill({**values_at(space, [0] * len(space.holes)), "weights": w, "cache": c})["precision"]
        for w, c in (("bf16", "int8"), ("int4", "bf16"))
    ]
    assert filled == [
        {"weights": "fp16", "activations": "fp16", "cache": "int8"},
        {"weights": "int4", "activations": "fp16", "cache": "fp16"},
    ]
    quantised = open_space(None, context=64, dtype="int4")
    values = values_at(quantised, [0] * len(quantised.holes)) | {"weights": "bf16"}
    assert quantised.fill(values)["precision"]["weights"] == "int4"


def test_a_budget_nothing_fits_leaves_no_store(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    message = r"nothing in 'default-space' fits 0\.50 GB.*nearest miss.*workspace takes the most"
    with pytest.raises(InputError, match=message):
        run(budget="0.5", store=f"sqlite:///{file}")
    assert not file.exists()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "how much memory"),
        ({"budget": "24", "device": "abacus"}, "abacus"),
        ({"budget": "24", "context": 0}, "--context"),
        ({"budget": "24", "batch": -1}, "--batch"),
        ({"budget": "24", "dtype": "fp12"}, "fp12"),
        ({"budget": "24", "seed": -1}, "--seed"),
        ({"budget": "24", "sampler": "oracle"}, "no sampler 'oracle'"),
        ({"budget": "24", "trials": 0}, "--trials: found 0"),
        ({"budget": "24", "workers": 0}, "--workers"),
        ({"budget": "24", "space": {"archspec": 1}}, "stacks"),
        ({"budget": "24", "space": {**SMALL_SPACE, "vocab_size": {"$chioce": [1]}}}, "chioce"),
        ({"budget": "24", "space": Path("nowhere.json")}, "nowhere.json"),
        ({"resume": True}, "no store"),
    ],
)
def test_bad_input(asked: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        run(asked.pop("space", None), **asked, store=f"sqlite:///{tmp_path / 'a.db'}")
    assert not list(tmp_path.iterdir())


def test_a_space_without_holes_is_refused() -> None:
    with pytest.raises(InputError, match="no holes"):
        open_space(open_space(SMALL_SPACE, context=64).fill({"width": 64, "kv": 1, "ff": 64, "depth": 1}), context=64)


def test_float_holes_become_a_grid() -> None:
    document = {**SMALL_SPACE, "head": {"logits": {"type": "linear", "scale": {"$float": [0.25, 4.0], "log": True}}}}
    hole = open_space(document, context=64).holes[-1]
    assert len(hole.options) == 17
    assert (hole.options[0], hole.options[8], hole.options[-1]) == (0.25, pytest.approx(1.0), 4.0)


def test_description() -> None:
    space: DeclaredSpace = open_space(None, context=4096)
    values = values_at(space, [0] * len(space.holes)) | {"lower/odd": "local"}
    spec = json.dumps(space.fill(values))
    assert precision(spec) == "int4/int4"
    evaluator = CostEvaluator(Setting(4096, 1, "cpu"))
    canonical = evaluator.evaluate(evaluator.examine(json.loads(spec))).spec
    assert describe(canonical) == "12 x 512, 8:1 x 64, 2/12 local 256, gated 1024"


def test_no_torch_for_a_search(tmp_path: Path) -> None:
    code = f"""
import sys
from search import run
run(budget="24", trials=3, store="sqlite:///{tmp_path / "a.db"}")
assert not {{"torch", "onnx", "onnxruntime", "transformers", "matplotlib", "plotly"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.slow
def test_two_thousand_trials_take_less_than_a_minute(tmp_path: Path) -> None:
    """Everything stored, one process. Its own seconds are counted, so that neighbours do not make it fail."""
    begin = time.process_time()
    result = run(budget=24, store=f"sqlite:///{tmp_path / 'a.db'}")
    assert time.process_time() - begin < 60
    assert result.trials == 2000 and len(result.front) > 100
    assert all(candidate.memory_bytes <= 24e9 for candidate in result.candidates)


def test_all_studies_share_one_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    first = run(SMALL_SPACE, budget=2, context=64, trials=5, store=url)
    second = run(SMALL_SPACE, budget=2, context=64, trials=5, store=url, seed=1)
    assert (first.study, second.study) == ("search-1", "search-2")
    with open_store(url) as store:
        assert store.study_names() == ["search-1", "search-2"]
