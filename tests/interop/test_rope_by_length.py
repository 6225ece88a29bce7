"""Rotations that follow the length of the text, on both sides of the length where they change."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archspec.api import compile
from archspec.interop.source import open_source
from tests.emit_onnx.models import call, open_model
from tests.emit_torch.packages import ids, model_of, stepped
from tests.interop.test_families import logits_here
from tests.interop.tiny import Case, llama, phi3

L = 16
LENGTHS = (10, L, L + 1, 2 * L)
THETA = {"rope_theta": 10000.0}
LONG = THETA | {"rope_type": "longrope", "short_factor": [1.0, 1.1, 1.3, 1.2], "long_factor": [1.5, 2.0, 3.0, 4.0]}
INSIDE = {"original_max_position_embeddings": L}
CASES = {
    "by length": llama(rope_parameters=LONG | INSIDE),
    "by length, packed, part of each head": phi3(
        **INSIDE,
        rope_parameters=LONG | {"partial_rotary_factor": 0.5, "short_factor": [1.0, 1.3], "long_factor": [2.0, 4.0]},
    ),
    "dynamic": llama(max_position_embeddings=L, rope_parameters=THETA | {"rope_type": "dynamic", "factor": 4.0}),
}


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(scope="module")
def folder(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("theirs")
    case.save(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return model_of(folder, tmp_path_factory.mktemp("packed") / "p", dtype="fp32")


@torch.no_grad()
def theirs(case: Case, tokens: torch.Tensor) -> torch.Tensor:
    """Of a model that has seen nothing yet: a longer text is remembered there."""
    return case.build()(tokens).logits


@pytest.mark.parametrize("length", LENGTHS)
def test_the_meaning(case: Case, folder: Path, length: int) -> None:
    tokens = ids(2, length)
    torch.testing.assert_close(logits_here(folder, tokens).float(), theirs(case, tokens), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("length", LENGTHS)
def test_packages_in_pytorch(case: Case, model: Any, length: int) -> None:
    tokens = ids(2, length)
    expected = theirs(case, tokens)
    torch.testing.assert_close(model(tokens), expected, atol=1e-4, rtol=1e-4)
    for chunks in ((1,) * length, (7, 1), (length,)):
        torch.testing.assert_close(stepped(model, tokens, chunks), expected, atol=1e-4, rtol=1e-4)


def test_the_room_says_how_long_a_text_will_be(model: Any) -> None:
    tokens = ids(1, 2 * L)
    whole = model(tokens)
    state = model.new_state(1, 2 * L)
    first, _ = model.step(tokens[:, :5], state)
    torch.testing.assert_close(first, whole[:, :5], atol=1e-4, rtol=1e-4)
    assert (first - model(tokens[:, :5])).abs().max() > 1e-2


def test_both_sides_differ(case: Case, folder: Path) -> None:
    """The first L of L + 1 tokens are turned otherwise than L alone, so that the comparisons compare something."""
    tokens = ids(1, L + 4)
    assert (logits_here(folder, tokens)[:, :L] - logits_here(folder, tokens[:, :L])).abs().max() > 1e-2


@torch.no_grad()
def test_generation_below(case: Case, model: Any) -> None:
    prompt = ids(1, 6)
    their_model: Any = case.build()
    expected = their_model.generate(prompt, max_new_tokens=L - 6, do_sample=False, eos_token_id=None)
    assert torch.equal(model.generate(prompt, L - 6, end_ids=()), expected)


def test_packages_in_onnx_take_whole_texts(case: Case, folder: Path, tmp_path: Path) -> None:
    document = json.loads(json.dumps(open_source(folder).spec._document)) | {"max_length": 4 * L}
    (tmp_path / "spec.json").write_text(json.dumps(document))
    compile(str(tmp_path / "spec.json"), tmp_path / "p", target="onnx", dtype="fp32", weights=str(folder))
    session = open_model(tmp_path / "p")
    assert not any("past" in given.name for given in session.get_inputs())
    for length in LENGTHS:
        tokens = ids(2, length)
        got = call(session, input_ids=tokens.numpy(), attention_mask=np.ones((2, length), np.int64))["logits"]
        np.testing.assert_allclose(got, theirs(case, tokens).numpy(), atol=1e-4, rtol=1e-4)


def test_a_graph_for_short_texts_only_steps(folder: Path, tmp_path: Path) -> None:
    document = json.loads(json.dumps(open_source(folder).spec._document)) | {"max_length": L}
    (tmp_path / "spec.json").write_text(json.dumps(document))
    compile(str(tmp_path / "spec.json"), tmp_path / "p", target="onnx", dtype="fp32", weights=str(folder))
    assert any("past" in given.name for given in open_model(tmp_path / "p").get_inputs())
