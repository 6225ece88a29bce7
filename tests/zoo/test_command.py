"""`archspec zoo` as a user runs it."""

import json
import subprocess
import sys

from archspec import zoo
from archspec.cli.zoo_command import facts
from tests.zoo.files import resolved


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "archspec.cli.main", "zoo", *arguments], capture_output=True, text=True
    )


def test_lists_all() -> None:
    done = run()
    assert done.returncode == 0
    assert all(f" {name} " in done.stdout for name in zoo.names())


def test_search_looks_at_names_sources_and_ops() -> None:
    rows = json.loads(run("--search", "Linear_Attention", "--json").stdout)
    assert {"gla-1.3b", "retnet-1.3b", "minimax-text-01"} <= {row["name"] for row in rows}
    assert "llama-3-8b" not in {row["name"] for row in rows}
    rows = json.loads(run("--search", "2407.21783", "--json").stdout)
    assert "llama-3-70b" in {row["name"] for row in rows}


def test_search_without_a_hit_is_not_an_error() -> None:
    assert run("--search", "no such thing").returncode == 0
    assert json.loads(run("--search", "no such thing", "--json").stdout) == []


def test_prints_one_as_it_is() -> None:
    for name in ("t5-base", "zoo:t5-base"):
        assert run(name).stdout == zoo.path("t5-base").read_text()


def test_unknown_name_suggests_and_exits_2() -> None:
    done = run("lama-3-8b")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "'llama-3-8b'" in done.stderr
    assert "Traceback" not in done.stderr


def test_facts_count_repeats_and_name_ops() -> None:
    assert facts("jamba-v0.1") == {
        "name": "jamba-v0.1",
        "source": "arXiv 2403.19887; ai21labs/Jamba-v0.1",
        "stacks": {"decoder": {"d_model": 4096, "layers": 32}},
        "max_length": 262144,
        "vocab_size": 65536,
        "ops": ["attention", "gated_mlp", "moe", "selective_scan"],
    }
    assert facts("t5-base")["stacks"]["encoder"] == {"d_model": 768, "layers": 12}
    assert facts("rwkv-4-169m")["ops"] == ["shifted_mlp", "wkv"]


def test_layers_agree_with_the_resolved_specs() -> None:
    for name in zoo.names():
        counted = {stack: fact["layers"] for stack, fact in facts(name)["stacks"].items()}
        assert counted == {stack: len(body.layers) for stack, body in resolved(name).stacks.items()}
