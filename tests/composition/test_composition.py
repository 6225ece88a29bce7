"""Mixers, positions, norms, residual forms, feed-forward layers and masks combine freely: specs drawn over the whole
language mean the same whichever passes ran, and so do their emitted models.

A failure names the pass it was bisected to; hypothesis shrinks the spec. Put the shrunk document into `failures/`,
where every run tries it again.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, seed, settings

from tests.composition import emitted, exported
from tests.composition.check import compiled, wrong
from tests.composition.drawn import CHANNEL_MIXERS, TOKEN_MIXERS, documents

torch.set_num_threads(1)
FAILURES = sorted(Path(__file__).with_name("failures").glob("*.json"))


def runs(count: int, *more: Phase) -> settings:
    """`count` specs that compile; the same ones every time with a seed."""
    phases = [Phase.generate, *more]
    return settings(
        max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=phases
    )


@runs(100, Phase.shrink)
@seed(20260101)
@given(documents())
def test_any_choice_of_passes_keeps_the_meaning(document: dict[str, Any]) -> None:
    kept(document)


@runs(60, Phase.shrink)
@seed(20260102)
@given(documents())
def test_emitted_models_mean_the_same(tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]) -> None:
    written(document, tmp_path_factory.mktemp("model"))


@runs(30, Phase.shrink)
@seed(20260105)
@given(documents())
def test_onnx_packages_mean_the_same(tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]) -> None:
    packed(document, tmp_path_factory.mktemp("package"))


@pytest.mark.slow
@runs(10_000, Phase.shrink)
@seed(20260103)
@given(documents())
def test_ten_thousand_specs(document: dict[str, Any]) -> None:
    kept(document)


@pytest.mark.slow
@runs(2_000, Phase.shrink)
@seed(20260104)
@given(documents())
def test_two_thousand_emitted_models(tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]) -> None:
    written(document, tmp_path_factory.mktemp("model"))


@pytest.mark.slow
@runs(1_000, Phase.shrink)
@seed(20260106)
@given(documents())
def test_a_thousand_onnx_packages(tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]) -> None:
    packed(document, tmp_path_factory.mktemp("package"))


@pytest.mark.parametrize("file", FAILURES, ids=lambda file: file.stem)
def test_what_failed_once(file: Path, tmp_path: Path) -> None:
    document = json.loads(file.read_text(encoding="utf-8"))
    drawn = compiled(document)
    if not isinstance(drawn, str):  # a refusal is an answer too
        assert wrong(drawn) is None
        reason = emitted.wrong(drawn, tmp_path)
        assert reason is None or reason.startswith(emitted.REFUSED)
        reason = exported.wrong(drawn, tmp_path / "onnx")
        assert reason is None or reason.startswith(exported.NOT_JUDGED)


def test_every_operator_is_drawn_and_lowers() -> None:
    """Each op of the language is among 600 drawn specs that compile."""
    seen: Counter[str] = Counter()

    @runs(600)
    @seed(7)
    @given(documents())
    def draw(document: dict[str, Any]) -> None:
        if not isinstance(compiled(document), str):
            seen.update(_ops(document))

    draw()
    names = {cls.model_fields["type"].default for cls in (*TOKEN_MIXERS, *CHANNEL_MIXERS)}
    assert names <= seen.keys()


def kept(document: dict[str, Any]) -> None:
    drawn = compiled(document)
    assume(not isinstance(drawn, str))
    assert not isinstance(drawn, str)
    reason = wrong(drawn)
    assert reason is None, f"{reason}\n{json.dumps(document)}"


def written(document: dict[str, Any], folder: Path) -> None:
    drawn = compiled(document)
    assume(not isinstance(drawn, str))
    assert not isinstance(drawn, str)
    reason = emitted.wrong(drawn, folder)
    assume(reason is None or not reason.startswith(emitted.REFUSED))
    assert reason is None, f"{reason}\n{json.dumps(document)}"


def packed(document: dict[str, Any], folder: Path) -> None:
    drawn = compiled(document)
    assume(not isinstance(drawn, str))
    assert not isinstance(drawn, str)
    reason = exported.wrong(drawn, folder)
    assume(reason is None or not reason.startswith(exported.NOT_JUDGED))
    assert reason is None, f"{reason}\n{json.dumps(document)}"


def _ops(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for item in value for name in _ops(item)]
    if not isinstance(value, dict):
        return []
    own = [value["op"]["type"]] if isinstance(value.get("op"), dict) else []
    return own + [name for item in value.values() for name in _ops(item)]
