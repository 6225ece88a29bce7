"""Prefix language models: tokens of the prefix see one another, all later ones look back.

GLM-130B's block as published (arXiv 2210.02414, section 2.1): DeepNorm LN(alpha·x + f(x)) with alpha = (2N)^(1/2),
rotary positions, a gated GELU. Its code, which the zoo's spec follows, puts the norms first and takes the residual
from their outputs: the same, each norm told one place later. ChatGLM-6B rotates half of a head by the place in the
prompt and half by the place in the answer.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu
from torch.utils.flop_counter import FlopCounterMode

from archspec.errors import InputError
from archspec.spec import load_spec, resolve
from compiler.cost.report import cost
from compiler.cost.sites import sites, whole_prompt, why_no_step
from compiler.ir.program import Program
from compiler.lower.program import lower
from tests.emit_onnx.exact import emitted as onnx_package
from tests.emit_torch.exact import drawn
from tests.emit_torch.exact import emitted as torch_model
from tests.emit_torch.packages import spec
from tests.parity.models import VOCAB, ids, redraw
from tests.parity.targets import meaning, near
from tests.zoo.renaming import Table, part, renamed
from tests.zoo.shrink import shrunk

WIDTH, HEADS, HIDDEN, LAYERS, LENGTH = 32, 4, 48, 2, 16
SIZES = {"vocab_size": VOCAB, "max_length": 64, "d_model": WIDTH, "n_heads": HEADS, "d_ff": HIDDEN}
TWO = {"decoder": [{"repeat": LAYERS, "of": ["main"]}]}
PREFIXES = (7, 4)  # of the two rows
PREFIX = {"type": "keys", "of": "prefix"}


def turned(x: Tensor, places: Tensor) -> Tensor:
    """x (B, H, S, D) rotated by places (B, S), the halves of D paired."""
    d = x.shape[-1]
    angle = places[:, None, :, None] * 10000.0 ** (-torch.arange(0, d, 2) / d)
    cos, sin = torch.cat([angle, angle], -1).cos(), torch.cat([angle, angle], -1).sin()
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat([-right, left], -1) * sin


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x: Tensor, seen: Tensor, *places: Tensor) -> Tensor:
        """places: one tensor (B, S) for each equal part of a head."""
        q, k, v = (f(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        q, k = (
            torch.cat([turned(p, at) for p, at in zip(y.chunk(len(places), -1), places, strict=True)], -1)
            for y in (q, k)
        )
        scores = q @ k.mT / k.shape[-1] ** 0.5
        weights = scores.masked_fill(~seen[:, None], float("-inf")).softmax(-1)
        y: Tensor = self.o((weights @ v).transpose(1, 2).flatten(2))
        return y


class Glm(nn.Module):
    """gated: GLM-130B's feed-forward layer, tied head; else ChatGLM-6B's, a head of its own."""

    def __init__(self, gated: bool) -> None:
        super().__init__()
        self.gated = gated
        self.embed = nn.Embedding(VOCAB, WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2 * LAYERS + 1))
        self.attention = nn.ModuleList(Attention() for _ in range(LAYERS))
        self.up = nn.ModuleList(nn.Linear(WIDTH, HIDDEN * (1 + gated)) for _ in range(LAYERS))
        self.down = nn.ModuleList(nn.Linear(HIDDEN, WIDTH) for _ in range(LAYERS))
        self.head = nn.Linear(WIDTH, VOCAB, bias=False)
        if gated:
            self.head.weight = self.embed.weight
        redraw(self)

    def feed(self, i: int, x: Tensor) -> Tensor:
        y = self.up[i](x)
        if self.gated:
            gate, up = y.chunk(2, -1)
            return self.down[i](gelu(gate) * up)
        return self.down[i](gelu(y, approximate="tanh"))

    def forward(self, tokens: Tensor, seen: Tensor, *places: Tensor) -> Tensor:
        alpha = (2 * LAYERS) ** 0.5
        x = self.norms[0](self.embed(tokens))
        for i in range(LAYERS):
            x = self.norms[2 * i + 1](alpha * x + self.attention[i](x, seen, *places))
            x = self.norms[2 * i + 2](alpha * x + self.feed(i, x))
        logits: Tensor = self.head(x)
        return logits


def norm(of: int) -> Any:
    return lambda stored, m: stored[f"norms.{2 * int(m[1]) + of}.{m[2]}"]


TABLE: Table = {
    r"vocab\.weight|decoder\.text\.tokens\.weight": "embed.weight",
    r"head\.logits\.weight": "head.weight",
    r"decoder\.final_norm\.(weight|bias)": rf"norms.{2 * LAYERS}.\1",
    r"decoder\.(\d+)\.attention\.pre_norm\.(\w+)": norm(0),
    r"decoder\.(\d+)\.\w*mlp\.pre_norm\.(\w+)": norm(1),
    r"decoder\.(\d+)\.attention\.([qkvo])\.(\w+)": r"attention.\1.\2.\3",
    r"decoder\.(\d+)\.gated_mlp\.(gate|up)\.(weight|bias)": part(r"up.\1.\3"),
    r"decoder\.(\d+)\.mlp\.up\.(\w+)": r"up.\1.\2",
    r"decoder\.(\d+)\.\w*mlp\.down\.(\w+)": r"down.\1.\2",
}
NAMES = {"glm-130b": SIZES, "chatglm-6b": {**SIZES, "dims": 4, "offset": 4}}
CUTS = ((7, 8, 9, 10, 11, 12, 13, 14, 15), (8, 13), (9, 10, 14))  # ends of steps: a prefix is never cut


def given(name: str) -> dict[str, Tensor]:
    """Tokens, marks of the prefix, and for ChatGLM both places: in the prompt, then in the answer."""
    slots = torch.arange(LENGTH)
    prefix = torch.stack([slots < length for length in PREFIXES]).long()
    inputs = {"input_ids": ids(2, LENGTH), "prefix": prefix}
    if name == "chatglm-6b":
        answer = torch.stack([(slots - length + 1).clamp(min=0) for length in PREFIXES])
        inputs["position_ids"] = torch.where(answer > 0, torch.tensor(PREFIXES)[:, None] - 2, slots)
        inputs["block_position_ids"] = answer
    return inputs


def stepped(model: Any, inputs: Mapping[str, Tensor], ends: Iterable[int]) -> Tensor:
    state, start, out = model.new_state(2, LENGTH), 0, []
    first = True
    for stop in (*ends, LENGTH):
        new = {name: x[:, start:stop] for name, x in inputs.items() if name != "prefix" or first}
        logits, state = model.step(new.pop("input_ids"), state, **new)
        out.append(logits)
        start, first = stop, False
    return torch.cat(out, 1)


def built(name: str) -> tuple[Program, dict[str, Tensor], dict[str, Tensor], Tensor]:
    """Program, weights, inputs, and what the model as published gives."""
    theirs, inputs = Glm(name == "glm-130b").eval(), given(name)
    program = lower(shrunk(name, TWO, NAMES[name]))
    weights = renamed(program.parameter_paths(), dict(theirs.state_dict()), TABLE)
    slots = torch.arange(LENGTH)
    seen = (slots[None, :] <= slots[:, None]) | inputs["prefix"].bool()[:, None]
    places = [inputs[n] for n in ("position_ids", "block_position_ids") if n in inputs] or [slots.expand(2, -1)]
    with torch.no_grad():
        return program, weights, inputs, theirs(inputs["input_ids"], seen, *places)


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
    program = lower(resolve(load_spec(spec(attention={"mask": mask}))))
    inputs = {"input_ids": ids(2, LENGTH), "prefix": given("glm-130b")["prefix"]}
    weights = drawn(program)
    expected = meaning(program, weights, inputs)
    model = torch_model(program, weights, tmp_path / "torch")
    near(model(**inputs), expected)
    for ends in CUTS:
        near(stepped(model, inputs, ends), expected)
    package, _ = onnx_package(program, {path: x.float() for path, x in weights.items()}, tmp_path / "onnx")
    near(package.forward(inputs), expected)
    for ends in CUTS:
        near(package.stepped(inputs, ends), expected)


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
    assert why_no_step(found) is None and whole_prompt(found)
    report = cost(shrunk("glm-130b", TWO, SIZES), context=32, chunk=8)
    assert report.no_step is None and report.prefill_chunk == 32 and report.speed.decode_tokens_per_second
    changed = inputs["input_ids"].clone()
    changed[:, 9] = (changed[:, 9] + 1) % VOCAB
    before, after = (meaning(program, weights, {**inputs, "input_ids": t}) for t in (inputs["input_ids"], changed))
    assert torch.equal(before[:, :9], after[:, :9]) and not torch.equal(before[:, 9:], after[:, 9:])
    changed = inputs["input_ids"].clone()
    changed[:, 3] = (changed[:, 3] + 1) % VOCAB
    assert (meaning(program, weights, {**inputs, "input_ids": changed})[:, 0] - before[:, 0]).abs().max() > 1e-3
