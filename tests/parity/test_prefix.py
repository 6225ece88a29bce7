"""Prefix language models: tokens of the prefix see one another, all later ones look back."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from archspec.errors import InputError
from archspec.spec import load_spec, resolve
from compiler.cost.report import cost
from compiler.cost.sites import sites, whole_prompt
from compiler.ir.parts import why_no_step
from compiler.ir.program import Program
from compiler.lower.program import lower
from tests.emit_onnx.exact import emitted as onnx_package
from tests.emit_torch.exact import drawn
from tests.emit_torch.exact import emitted as torch_model
from tests.emit_torch.packages import spec
from tests.parity.glm import LAYERS, LENGTH, NAMES, SIZES, TWO, WIDTH, Glm, built, given
from tests.parity.models import VOCAB, ids
from tests.parity.targets import meaning, near
from tests.zoo.shrink import shrunk

PREFIX = {"type": "keys", "of": "prefix"}
CUTS = ((7, 8, 9, 10, 11, 12, 13, 14, 15), (8, 13), (9, 10, 14))  # ends of steps: a prefix is never cut


def stepped(model: Any, inputs: Mapping[str, Tensor], ends: Iterable[int]) -> Tensor:
    state, start, out = model.new_state(2, LENGTH), 0, []
    first = True
    for stop in (*ends, LENGTH):
        new = {name: x[:, start:stop] for name, x in inputs.items() if name != "prefix" or first}
        logits, state = model.step(new.pop("input_ids"), state, **new)
        out.append(logits)
        start, first = stop, False
    return torch.cat(out, 1)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_as_published(name: str, tmp_path: Path) -> None:
    program, weights, inputs, expected = built(name)
    near(meaning(program, weights, inputs), expected)
    model = torch_model(program, weights, tmp_path / "torch")
    near(model(**inputs), expected)
    for ends in CUTS:
        near(stepped(model, inputs, ends), expected)
    for runtime in ("ort", "portable"):
        package, emission = onnx_package(program, weights, tmp_path / runtime, runtime=runtime)
        near(package.forward(inputs), expected)
        assert emission.stepping, emission.no_step
        for ends in CUTS:
            near(package.stepped(inputs, ends), expected)


@torch.no_grad()
def test_padded_rows(tmp_path: Path) -> None:
    """A row padded on the left, its prefix behind the padding: in every target, whole and in steps."""
    program, weights, inputs, _ = built("glm-130b")
    real = torch.ones(2, LENGTH, dtype=torch.bool)
    real[1, :3] = False
    inputs = {**inputs, "attention_mask": real.long()}
    inputs["prefix"][1] = (torch.arange(LENGTH) < 6) & real[1]
    expected = meaning(program, weights, inputs)
    model = torch_model(program, weights, tmp_path / "torch")
    near(model(**inputs), expected, real)
    for ends in CUTS:
        near(stepped(model, inputs, ends), expected, real)
    package, _ = onnx_package(program, weights, tmp_path / "onnx")
    near(package.forward(inputs), expected, real)
    for ends in CUTS:
        near(package.stepped(inputs, ends), expected, real)


@pytest.mark.parametrize(
    "mask",
    [
        {"type": "or", "of": [{"type": "window", "behind": 3}, PREFIX]},
        {"type": "or", "of": ["self", {"type": "and", "of": ["causal", {"type": "strided", "stride": 3}]}, PREFIX]},
        {"type": "and", "of": ["causal", {"type": "or", "of": [{"type": "window", "behind": 2}, PREFIX]}]},
        {"type": "or", "of": ["causal", PREFIX, {"type": "window", "behind": 4}]},
    ],
)
@torch.no_grad()
def test_prefixes_beside_other_masks(mask: Any, tmp_path: Path) -> None:
    """Later tokens look back at the prefix from wherever they stand."""
    check(lower(resolve(load_spec(spec(attention={"mask": mask})))), tmp_path)


def check(program: Program, folder: Path) -> None:
    """Both packages against the meaning, whole and in steps behind the prefix."""
    inputs = {"input_ids": ids(2, LENGTH), "prefix": given("glm-130b")["prefix"]}
    weights = drawn(program)
    expected = meaning(program, weights, inputs)
    model = torch_model(program, weights, folder / "torch")
    near(model(**inputs), expected)
    for ends in CUTS:
        near(stepped(model, inputs, ends), expected)
    package, _ = onnx_package(program, {path: x.float() for path, x in weights.items()}, folder / "onnx")
    near(package.forward(inputs), expected)
    for ends in CUTS:
        near(package.stepped(inputs, ends), expected)


@pytest.mark.parametrize("mask", ["causal", {"type": "or", "of": ["causal", PREFIX]}])
@torch.no_grad()
def test_branches_of_the_prefix_alone(mask: Any, tmp_path: Path) -> None:
    own = {"pre_norm": "rms", "op": {"type": "attention", "n_heads": 4, "mask": mask}}
    some = {"pre_norm": "rms", "op": {"type": "mlp", "d_ff": 24, "activation": "gelu"}, "rows": "prefix"}
    check(lower(resolve(load_spec(spec(blocks={"main": [own, some]})))), tmp_path)


@torch.no_grad()
def test_compiled_layers_and_caches_looked_at_whole(tmp_path: Path) -> None:
    program, weights, inputs, expected = built("glm-130b")
    model = torch_model(program, weights, tmp_path)
    state, start, out = model.new_state(2, LENGTH + 3), 0, []
    state.static = True
    for stop in (8, 9, 10, LENGTH):
        marks = {"prefix": inputs["prefix"][:, start:stop]} if start == 0 else {}
        logits, state = model.step(inputs["input_ids"][:, start:stop], state, **marks)
        out.append(logits)
        start = stop
    near(torch.cat(out, 1), expected)
    torch.compiler.reset()
    step = torch.compile(model.step, backend="eager")
    logits, _ = step(inputs["input_ids"][:, :9], model.new_state(2, LENGTH), prefix=inputs["prefix"][:, :9])
    near(logits, expected[:, :9])


@torch.no_grad()
def test_without_a_prefix_it_is_causal(tmp_path: Path) -> None:
    program, weights, inputs, with_prefix = built("glm-130b")
    tokens = inputs["input_ids"]
    expected = meaning(program, weights, {"input_ids": tokens})
    model = torch_model(program, weights, tmp_path)
    near(model(tokens), expected)
    state, out = model.new_state(2, LENGTH), []
    for t in range(LENGTH):
        logits, state = model.step(tokens[:, t : t + 1], state)
        out.append(logits)
    near(torch.cat(out, 1), expected)
    assert (expected - with_prefix).abs().max() > 1e-2


@torch.no_grad()
def test_a_prefix_comes_whole(tmp_path: Path) -> None:
    program, weights, inputs, _ = built("glm-130b")
    model = torch_model(program, weights, tmp_path)
    tokens, prefix = inputs["input_ids"], inputs["prefix"]
    _, state = model.step(tokens[:, :5], model.new_state(2, LENGTH), prefix=prefix[:, :5])
    with pytest.raises(ValueError, match="prefix is seen whole: it must come with the first step, 5 tokens are there"):
        model.step(tokens[:, 5:9], state, prefix=prefix[:, 5:9])
    logits, _ = model.step(tokens[:, 5:9], state, prefix=torch.zeros_like(prefix[:, 5:9]))
    marks = prefix.where(torch.arange(LENGTH) < 5, 0)
    near(logits, meaning(program, weights, {"input_ids": tokens, "prefix": marks})[:, 5:9])


@torch.no_grad()
def test_generation_behind_a_prefix(tmp_path: Path) -> None:
    """The prompt's marks hold for the prompt only."""
    program, weights, inputs, _ = built("glm-130b")
    model = torch_model(program, weights, tmp_path)
    prompt = inputs["input_ids"][:, :6]
    marks = torch.ones_like(prompt)
    found = model.generate(prompt, 5, prefix=marks, end_ids=())
    tokens = prompt
    for _ in range(5):
        prefix = (torch.arange(tokens.shape[1]) < 6).long().expand(2, -1)
        logits = meaning(program, weights, {"input_ids": tokens, "prefix": prefix})
        tokens = torch.cat([tokens, logits[:, -1:].argmax(-1)], 1)
    assert torch.equal(found, tokens)


def test_places_of_new_tokens_are_not_guessed(tmp_path: Path) -> None:
    """ChatGLM's places go on by rules of its own: generation is left to who knows them."""
    program, weights, inputs, _ = built("chatglm-6b")
    model = torch_model(program, weights, tmp_path)
    with pytest.raises(ValueError, match=r"step.*, which takes block_position_ids and position_ids"):
        model.generate(inputs.pop("input_ids"), 3, **inputs)
    assert "one step after 8" in model.demonstrate()


@pytest.mark.parametrize("name", NAMES)
def test_genai_has_no_such_inputs(name: str, tmp_path: Path) -> None:
    program, weights, *_ = built(name)
    with pytest.raises(InputError, match=r"gives input_ids and attention_mask, not .*prefix"):
        onnx_package(program, weights, tmp_path, runtime="genai")


@pytest.mark.parametrize("name", NAMES)
def test_exact_cost(name: str) -> None:
    """Parameters, and the products of a prompt that is all prefix; a token more sees all before it."""
    theirs, inputs = Glm(name == "glm-130b").eval(), given(name)
    report = cost(shrunk(name, TWO, NAMES[name]), context=LENGTH, batch=2)
    assert report.parameters.total == sum(p.numel() for p in theirs.parameters())
    places = [inputs[n] for n in ("position_ids", "block_position_ids") if n in inputs] or [torch.zeros(2, LENGTH)]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        theirs(inputs["input_ids"], torch.ones(2, LENGTH, LENGTH, dtype=torch.bool), *places)
    assert report.flops.prefill == report.flops.prefill_exact == counter.get_total_flops()
    assert report.cache.bytes_per_token == LAYERS * 2 * WIDTH * 2  # bf16


def test_cost_and_causality() -> None:
    """It generates; its prompt is not to be cut; what follows the prefix moves nothing before."""
    program, weights, inputs, _ = built("glm-130b")
    found = sites(program)
    assert why_no_step(program) is None and whole_prompt(found)
    report = cost(shrunk("glm-130b", TWO, SIZES), context=32, chunk=8)
    assert report.no_step is None and report.prefill_chunk == 32 and report.speed.decode_tokens_per_second
    changed = inputs["input_ids"].clone()
    changed[:, 9] = (changed[:, 9] + 1) % VOCAB
    before, after = (meaning(program, weights, {**inputs, "input_ids": t}) for t in (inputs["input_ids"], changed))
    assert torch.equal(before[:, :9], after[:, :9]) and not torch.equal(before[:, 9:], after[:, 9:])
    changed = inputs["input_ids"].clone()
    changed[:, 3] = (changed[:, 3] + 1) % VOCAB
    assert (meaning(program, weights, {**inputs, "input_ids": changed})[:, 0] - before[:, 0]).abs().max() > 1e-3
