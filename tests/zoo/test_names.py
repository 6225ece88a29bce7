"""Names lead to files of the zoo and to nothing else."""

import json
import subprocess
import sys

import pytest

from archspec import zoo
from archspec.errors import InputError


def test_sorted_and_known() -> None:
    names = zoo.names()
    assert names == sorted(set(names))
    assert {"llama-3-8b", "llama-3.1-405b", "smollm2-135m"} <= set(names)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../spec/tree", "/etc/passwd", "llama-3-8b.json", "llama-3-8b/", "./llama-3-8b", "Llama-3-8B",
     "llama-3-8b\n", ".hidden", "a..b", "__init__", "llama\x00"],
)  # fmt: skip
def test_refuses_what_is_no_name(name: str) -> None:
    with pytest.raises(InputError, match="the zoo has no spec"):
        zoo.path(name)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("llama3-8b", "llama-3-8b"), ("Llama_3.1_405B", "llama-3.1-405b"), ("smollm-135m", "smollm2-135m"),
     ("t5-bas", "t5-base"), ("deepseekv3", "deepseek-v3"), ("mixtral", "mixtral-8x22b")],
)  # fmt: skip
def test_nearest(written: str, meant: str) -> None:
    assert meant in zoo.nearest(written)
    with pytest.raises(InputError, match=meant.replace(".", r"\.")):
        zoo.read(written)


def test_far_from_everything() -> None:
    assert zoo.nearest("qqqqqqqq") == []


def test_read_is_the_file() -> None:
    assert zoo.read("gpt2") == json.loads(zoo.path("gpt2").read_text())


def test_import_is_light() -> None:
    heavy = ("pydantic", "torch", "rich")
    code = f"import sys, archspec.zoo as zoo; zoo.names(); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
