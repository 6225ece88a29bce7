"""Fronts over several settings, and fronts full of ties, as a table, as JSON and as pictures."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from archspec.cli.main import main
from search import run
from search.envelope import panels, title
from store.fronts import by_setting, equals, front
from store.records import Candidate
from tests.search.test_real import SMALL_SPACE

Pareto = Callable[..., str]
THETAS = list(range(10_000, 10_017))  # changes no metric


def candidate(trial: int, quality: float, memory: int, speed: float, **changes: object) -> Candidate:
    fields: dict = {
        "study": "s",
        "trial": trial,
        "hash": f"h{trial}",
        "variant": f"v{trial}",
        "quality": quality,
        "quality_sigma": 0.1,
        "fidelity": "prior",
        "memory_bytes": memory,
        "tokens_per_second": speed,
        "context": 512,
        "batch": 1,
        "device": "cpu",
        "parameters_total": 10,
        "parameters_active_non_embedding": 9,
        "spec": '{"archspec":1}',
    }
    return Candidate(**{**fields, **changes})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three settings, and a study whose only hole changes no metric."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'fronts.db'}"
    for study, context, batch, device in (("a", 128, 1, "rtx-4090"), ("b", 256, 1, "rtx-4090"), ("c", 128, 8, "l4")):
        run(SMALL_SPACE, budget=2, context=context, batch=batch, trials=40, study=study, device=device, store=url)
    space = json.loads(json.dumps(SMALL_SPACE).replace('{"$int": [1, 4], "as": "depth"}', "2"))
    stack = space["stacks"]["decoder"]
    mixer, mlp = (step["op"] for step in stack["blocks"]["main"])
    stack["d_model"], mixer["n_kv_heads"], mlp["d_ff"] = 64, 4, 128
    mixer["position"] = [{"type": "rope", "theta": {"$choice": THETAS, "as": "theta"}}]
    run(space, budget=2, context=64, trials=60, study="ties", device="l4", store=url)
    return url


@pytest.fixture
def pareto(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pareto:
    """What `archspec pareto` prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARCHSPEC_STORE", store)

    def typed(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["archspec", "pareto", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    return typed


def test_json_says_the_setting(pareto: Pareto) -> None:
    rows = json.loads(pareto("--json"))
    found = {(row["study"], row["context"], row["batch"], row["device"]) for row in rows}
    assert found == {("a", 128, 1, "rtx-4090"), ("b", 256, 1, "rtx-4090"), ("c", 128, 8, "l4"), ("ties", 64, 1, "l4")}


def test_a_table_for_each_setting(pareto: Pareto) -> None:
    out = pareto()
    heads = [
        "Pareto front at 64 tokens, batch 1, l4",
        "Pareto front at 128 tokens, batch 1, rtx-4090",
        "Pareto front at 128 tokens, batch 8, l4",
        "Pareto front at 256 tokens, batch 1, rtx-4090",
    ]
    places = [out.index(head) for head in heads]
    assert places == sorted(places)
    for study, start, end in zip(("ties", "a", "c", "b"), places, [*places[1:], out.index("Parameters")], strict=True):
        rows = re.findall(r"^ *(\w+) +\*?\d+ .* ± ", out[start:end], re.MULTILINE)
        assert set(rows) == {study}


def test_one_setting_has_one_table_as_ever(pareto: Pareto) -> None:
    out = pareto("--study", "a")
    assert out.count("Pareto front") == 1 and " at 128 tokens" not in out and " equal" not in out
    assert "study" not in out.splitlines()[3]


def test_ties_are_one_row_that_says_how_many(pareto: Pareto) -> None:
    rows = json.loads(pareto("--study", "ties", "--json"))
    out = pareto("--study", "ties")
    assert len(rows) == len(THETAS) and len({row["variant"] for row in rows}) == len(THETAS)
    assert out.count("±") == 1 and re.search(r"^ *\*?0 +17 equal +\d", out, re.MULTILINE)


def test_equals_are_those_of_one_setting_and_the_earliest_stands_first() -> None:
    found = [
        candidate(0, 2.0, 20, 1.0),
        candidate(1, 1.0, 10, 5.0, study="z"),
        candidate(9, 1.0, 10, 5.0, study="a"),  # another study, begun later
        candidate(3, 1.0, 10, 5.0, context=1024),
    ]
    groups = [[(c.study, c.trial) for c in equal] for equal in equals(front(found))]
    assert groups == [[("s", 0)], [("z", 1), ("a", 9)], [("s", 3)]]
    assert [[c.trial for c in group] for group in by_setting(front(found))] == [[0, 1, 9], [3]]


def test_panels_keep_settings_apart() -> None:
    """`x` is on the front of one setting and dominated in the other: a picture that goes by variant loses it."""
    here = [candidate(0, 1.0, 10, 5.0, variant="x"), candidate(1, 2.0, 10, 5.0), candidate(2, 2.0, 10, 5.0)]
    there = [candidate(0, 1.0, 12, 4.0, variant="x", device="l4")]
    first, second = panels([*here, *there], front([*here, *there]))
    assert (first.name, second.name) == ("512 tokens, batch 1, cpu", "512 tokens, batch 1, l4")
    assert (first.dominated, first.front, first.equal) == ([here[0]], [here[1]], [2])
    assert (second.dominated, second.front, second.equal) == ([], there, [1])
    assert title([first], 1) == first.name
    assert title([first, second], 2) == "2 settings, each with a front of its own"
    assert title([first, second], 9) == "the first 2 of 9 settings; --context, --device or --study picks others"


def figure(page: str) -> tuple[list[dict], dict]:
    """Traces and layout of plotly's page."""
    start = page.index("Plotly.newPlot(")
    decoder = json.JSONDecoder()
    data, end = decoder.raw_decode(page, page.index("[", start))
    layout, _ = decoder.raw_decode(page, page.index("{", end))
    return data, layout


def test_the_page_has_a_line_for_each_setting(pareto: Pareto, tmp_path: Path) -> None:
    pareto("--plot", "front.html")
    traces, layout = figure((tmp_path / "front.html").read_text())
    lines = [trace for trace in traces if trace["mode"] == "lines"]
    assert len(lines) == 4 == len({trace["yaxis"] for trace in lines})
    assert layout["annotations"][0]["text"] == "64 tokens, batch 1, l4" and len(layout["annotations"]) == 4
    named = sorted(trace["name"] for trace in traces if trace["showlegend"])
    assert named == ["Pareto front", "best quality for the memory", "dominated"]
    ties = next(t for t in traces if t["name"] == "Pareto front")
    assert len(ties["text"]) == 1 and "17 equal" in ties["text"][0]


def test_the_page_of_one_setting_has_one_panel(pareto: Pareto, tmp_path: Path) -> None:
    pareto("--study", "a", "--plot", "front.html")
    traces, layout = figure((tmp_path / "front.html").read_text())
    assert len(traces) == 3 and not layout.get("annotations") and "height" not in layout
    assert layout["title"]["text"] == "Pareto front: 128 tokens, batch 1, rtx-4090"


def test_the_image_has_a_panel_for_each_setting(pareto: Pareto, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib.pyplot as plt

    kept: list = []  # figures, before they are thrown away
    monkeypatch.setattr(plt, "close", kept.append)
    for words in ((), ("--study", "a")):
        pareto(*words, "--plot", "front.png")
    several, one = ([axes for axes in each.axes if axes.get_xlabel() or axes.get_title()] for each in kept)
    assert [axes.get_title() for axes in several] == [
        "64 tokens, batch 1, l4",
        "128 tokens, batch 1, rtx-4090",
        "128 tokens, batch 8, l4",
        "256 tokens, batch 1, rtx-4090",
    ]
    assert all(len(axes.lines) == 1 for axes in several)
    assert not any(axes.get_legend() for axes in several) and len(kept[0].legends[0].legend_handles) == 4
    assert "17 equal" in several[0].texts[0].get_text()
    assert [axes.get_title() for axes in one] == ["128 tokens, batch 1, rtx-4090"] and one[0].get_legend()
    for each in kept:
        renderer = each.canvas.get_renderer()
        for axes in each.axes:
            boxes = [text.get_bbox_patch().get_window_extent(renderer) for text in axes.texts]
            assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
