"""Pictures: each node once, repeated layers once with their count, nothing in a name can become markup."""

import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archspec import zoo
from archspec.errors import InputError
from archspec.spec import load_spec, resolve
from compiler import pipeline
from compiler.draw.picture import picture
from compiler.draw.svg import svg
from compiler.lower.program import lower
from tests.lower.specs import specs
from tests.verify.tiny import spec_of

NAMESPACE = "{http://www.w3.org/2000/svg}"


def texts(markup: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(markup).iter(f"{NAMESPACE}text")]


def drawn(spec: dict, names=None) -> str:
    program, _ = pipeline.run(lower(resolve(load_spec(spec))), names)
    return svg(picture(program, "heading"))


def test_before_and_after():
    before, after = texts(drawn(spec_of(), ())), texts(drawn(spec_of()))
    assert before.count("linear") == 8 and after.count("linear") == 5
    assert "grouped query attention" in after and "4 heads over 2, causal, rotary" in after
    assert "decoder × 2" in before and "decoder × 2" in after  # two layers, drawn once
    assert "B × S × 16" in after and "heading" in after and "tiny" in after


def test_the_repository_model_is_drawn_once_per_kind():
    said = texts(drawn(zoo.read("smollm2-135m")))
    assert "decoder × 30" in said and said.count("grouped query attention") == 1


@pytest.mark.parametrize("name", ["t5-small", "deepseek-v3", "jamba-v0.1", "bloom-560m", "bert-base"])
def test_other_families(name):
    said = texts(drawn(zoo.read(name)))
    assert any("×" in text for text in said)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(specs(), st.text(max_size=6), st.text(min_size=1, max_size=6))
def test_names_never_become_markup(spec, name, stack):
    spec["name"] = f"</svg><script>{name}"
    spec["stacks"] = {f"{stack}<&\"'>": spec["stacks"]["decoder"]}
    try:
        markup = drawn(spec)
    except InputError:  # a name that the language does not allow
        spec["stacks"] = {"decoder": next(iter(spec["stacks"].values()))}
        spec["name"] = "</svg><script>&"
        try:
            markup = drawn(spec)
        except InputError:
            return
    root = ET.fromstring(markup)
    assert {element.tag for element in root.iter()} <= {
        NAMESPACE + tag for tag in ("svg", "defs", "marker", "path", "rect", "text", "title")
    }


def archspec(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "archspec.cli.main", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command(tmp_path):
    file = tmp_path / "graph.svg"
    done = archspec("graph", "smollm2-135m", "-o", str(file))
    assert done.returncode == 0 and "grouped query attention" in texts(file.read_text())
    picture_file = tmp_path / "graph.png"
    assert archspec("graph", "smollm2-135m", "-o", str(picture_file), "--before").returncode == 0
    assert picture_file.read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["graph.png", "graph.svg"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["smollm2-135m", "-o", "x.pdf"], "allowed: .svg, .png"),
        (["smollm2-135m", "-o", "nowhere/x.svg"], "cannot be written"),
        (["smollm2-135m", "-o", "x.svg", "--passes", "qkv_pack"], "there is no pass 'qkv_pack'"),
        (["smolm2-135m", "-o", "x.svg"], "smollm2-135m"),
    ],
)
def test_bad_input(tmp_path, arguments, says):
    arguments = [str(tmp_path / a) if a.endswith((".svg", ".pdf")) else a for a in arguments]
    done = archspec("graph", *arguments)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_drawing_imports_no_torch():
    code = (
        "import sys; from archspec.cli import graph_command; assert not {'torch', 'matplotlib'} & set(sys.modules), "
        "sorted(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
