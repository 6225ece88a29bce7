"""Mixers, positions, norms, residual forms, feed-forward layers and masks combine freely: specs drawn over the whole
language mean the same whichever passes ran, and so do their emitted models.

A failure names the pass it was bisected to; hypothesis shrinks the spec. Put the shrunk document into `failures/`,
where every run tries it again.
"""

import json
from collections import Counter
from collections.abc import Callable
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


def every(count: int, number: int, check: Callable[[dict[str, Any]], None]) -> None:
    """Check `count` specs that compile, drawn with seed `number`."""

    @runs(count, Phase.shrink)
    @seed(number)
    @given(documents())
    def run(document: dict[str, Any]) -> None:
        check(document)

    run()


def batches(few: int, batch: int, many: int, number: int) -> pytest.MarkDecorator:
    """(count, seed): a few specs in each run of the tests, and many in batches that workers can share."""
    long = [pytest.param(batch, number + i, marks=pytest.mark.slow) for i in range(1, 1 + many // batch)]
    return pytest.mark.parametrize(("count", "number"), [(few, number), *long])


@batches(100, 500, 10_000, 20260100)
def test_any_choice_of_passes_keeps_the_meaning(count: int, number: int) -> None:
    every(count, number, kept)


@batches(60, 250, 2_000, 20260200)
def test_emitted_models_mean_the_same(count: int, number: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    every(count, number, lambda document: written(document, tmp_path_factory.mktemp("model")))


@batches(30, 250, 1_000, 20260300)
def test_onnx_packages_mean_the_same(count: int, number: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    every(count, number, lambda document: packed(document, tmp_path_factory.mktemp("package")))


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
