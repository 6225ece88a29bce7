"""`archspec advise`: the tree answers with reasons, and its numbers are those of the cost model, never a table's."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from archspec import zoo
from archspec.cli.main import main
from archspec.errors import InputError
from archspec.spec import load_spec, resolve, spec_hash
from archspec.zoo.tree import TREE, Fork, Leaf
from compiler.cost.devices import device
from compiler.cost.report import cost
from search.advice import Option, Request, advise, starting_spec

GB = 1e9


def leaves(node: Fork | Leaf = TREE) -> Iterator[Leaf]:
    if isinstance(node, Leaf):
        yield node
    else:
        for branch in node.branches:
            yield from leaves(branch.then)


def option(request: Request, name: str) -> Option:
    return next(found for found in advise(request).options if found.name == name)


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (Request("generate"), "plain decoder"),
        (Request("generate", long_context=True, memory_gb=24.5), "decoder with windows and global layers"),
        (Request("generate", long_context=True, memory_gb=24), "hybrid of attention and state space or convolution"),
        (Request("generate", long_context=True, memory_gb=16), "hybrid of attention and state space or convolution"),
        (Request("generate", long_context=True, memory_gb=15.9), "state space or retention"),
        (Request("generate", context=16384, memory_gb=12), "state space or retention"),
        (Request("understand"), "encoder"),
        (Request("understand", long_context=True), "encoder with windows and global tokens"),
        (Request("understand", context=2048), "encoder with windows and global tokens"),
        (Request("understand", multilingual=True), "encoder of many languages"),
        (Request("transform"), "encoder-decoder"),
        (Request("transform", multitask=True), "encoder-decoder taught many tasks"),
        (Request("code"), "decoder with fine local attention and a global path"),
    ],
)
def test_each_way_through_the_tree(request_: Request, kind: str) -> None:
    found = advise(request_)
    assert found.leaf.kind == kind
    assert all(step.reason for step in found.steps)


def test_every_spec_of_the_tree_is_in_the_zoo_and_of_its_kind() -> None:
    for leaf in leaves():
        for name in leaf.specs:
            stacks = load_spec(zoo.path(name)).stacks
            assert (len(stacks) == 2) == leaf.kind.startswith("encoder-decoder"), name


def test_the_strongest_stand_first() -> None:
    for request in (Request("generate"), Request("transform"), Request("understand")):
        counts = [found.parameters for found in advise(request).options]
        assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize("batch", [1, 8])
def test_numbers_are_those_of_the_cost_model(batch: int) -> None:
    request = Request("generate", long_context=True, memory_gb=12, batch=batch, device="a100-80gb")
    where = replace(device("a100-80gb"), memory_bytes=12 * 10**9)
    for found in advise(request).options:
        report = cost(resolve(load_spec(zoo.path(found.name))), context=16384, batch=batch, device=where)
        assert found.total_bytes == report.total_bytes == sum(found.memory.values())
        assert found.tokens_per_second == report.speed.decode_tokens_per_second
        assert found.fits == (found.total_bytes <= 12e9)


def test_all_experts_of_a_mixture_must_be_held() -> None:
    """39 of its 141 billion parameters work on a token; a table that gives it 32 GB counts only those."""
    held = Request("generate", memory_gb=32)
    found = option(held, "mixtral-8x22b")
    assert not found.fits
    assert found.memory["weights"] == pytest.approx(281.2 * GB, rel=1e-3)
    assert found.active_parameters == pytest.approx(39.2e9, rel=5e-3)
    assert not option(replace(held, dtype="int4"), "mixtral-8x22b").fits
    assert option(replace(held, dtype="int4", memory_gb=96), "mixtral-8x22b").fits


def test_a_state_of_constant_size_is_not_eight_gigabytes_less() -> None:
    """At 16K tokens a 7B scan in bf16 holds 14.5 GB of weights and 38 MB of state: not 8 GB in all."""
    found = option(Request("generate", long_context=True, memory_gb=15.9), "falcon-mamba-7b")
    assert found.memory["weights"] == pytest.approx(14.5 * GB, rel=5e-3)
    assert found.memory["cache"] < 0.04 * GB
    longer = option(Request("generate", context=131072, memory_gb=15.9), "falcon-mamba-7b")
    assert longer.memory["cache"] == found.memory["cache"]


def test_the_first_that_fits_is_recommended() -> None:
    found = advise(Request("generate", memory_gb=10))
    fitting = [o for o in found.options if o.fits]
    assert found.recommended == fitting[0] and len(fitting) < len(found.options)
    assert not any(o.fits for o in found.options[: found.options.index(fitting[0])])


def test_a_spec_that_reaches_the_context_goes_before_one_that_does_not() -> None:
    found = advise(Request("generate", long_context=True, memory_gb=15))
    assert found.options[1].name == "retnet-6.7b" and found.options[1].fits and not found.options[1].reaches
    assert found.recommended is not None and found.recommended.reaches


def test_nothing_fits() -> None:
    found = advise(Request("generate", long_context=True, memory_gb=17))
    assert found.recommended is None and found.refusal
    assert found.nearest.total_bytes == min(o.total_bytes for o in found.options) > 17e9
    assert found.nearest.name in found.refusal and "weights bind" in found.refusal and "17 GB" in found.refusal


def test_the_term_that_binds_is_not_always_the_weights() -> None:
    found = advise(Request("generate", memory_gb=2, batch=512))
    assert found.refusal and "cache bind" in found.refusal


def test_a_flag_that_this_way_does_not_heed_is_said() -> None:
    (note,) = advise(Request("understand", multilingual=True, long_context=True)).notes
    assert "long" in note
    assert not advise(Request("understand", long_context=True)).notes


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request("summarise"), "--task.*allowed: generate, understand, transform, code"),
        (Request("generate", multitask=True), "--multitask.*transform"),
        (Request("code", multilingual=True), "--multilingual.*understand"),
        (Request("transform", long_context=True), "--long-context.*generate, understand, code"),
        (Request("generate", memory_gb=0), "--memory-gb"),
        (Request("generate", memory_gb=-3), "--memory-gb"),
        (Request("generate", memory_gb=math.nan), "--memory-gb"),
        (Request("generate", memory_gb=math.inf), "--memory-gb"),
        (Request("generate", context=0), "--context"),
        (Request("generate", context=10**12), "--context"),
        (Request("generate", batch=-1), "--batch"),
        (Request("generate", device="rtx-9999"), "--device"),
        (Request("generate", dtype="int17"), "int17"),
    ],
)
def test_nonsense_is_refused(request_: Request, words: str) -> None:
    with pytest.raises(InputError, match=words):
        advise(request_)


def test_starting_spec_loads_and_keeps_its_meaning() -> None:
    written = load_spec(json.loads(starting_spec("llama-3.1-8b")))
    assert spec_hash(resolve(written)) == spec_hash(resolve(load_spec(zoo.path("llama-3.1-8b"))))
    assert load_spec(json.loads(starting_spec("llama-3.1-8b", "int4"))).precision.weights != written.precision.weights


def test_command_writes_what_it_recommends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "start.json"
    with pytest.raises(SystemExit) as stop:
        main(["advise", "--task", "generate", "--memory-gb", "10", "--json", "-o", str(file)])
    assert not stop.value.code
    printed = json.loads(capsys.readouterr().out)
    assert load_spec(file).name == printed["recommended"]
    assert len(printed["steps"]) == 2 and printed["options"][0]["binds"] == "weights"


def test_command_answers_no(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "start.json"
    with pytest.raises(SystemExit) as stop:
        main(["advise", "--task", "code", "--memory-gb", "1", "-o", str(file)])
    out, err = capsys.readouterr()
    assert stop.value.code == 1 and "gemma-3-1b" in err and "How" not in err and "code" in out
    assert not file.exists()


def test_command_refuses_nonsense(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["advise", "--task", "sing"])
    assert stop.value.code == 2 and "allowed" in capsys.readouterr().err


def test_no_torch_is_imported() -> None:
    code = "import sys; from search.advice import *; advise(Request('generate')); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
