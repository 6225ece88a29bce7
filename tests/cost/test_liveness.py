"""Peak memory by hand on small graphs."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.fx import Interpreter
from torch.fx.experimental.proxy_tensor import make_fx

from archspec.api import compile
from archspec.running import module
from archspec.spec.tree import Precision
from compiler.cost.formats import Storage
from compiler.cost.liveness import Liveness
from compiler.cost.report import cost
from compiler.ir.text import parse
from tests.cost.measured import peak_bytes
from tests.cost.specs import decoder, resolved, window

CHAIN = """program chain {"optional": {}, "meta": {}}
param up [8, 4] linear
param down [4, 8] linear

graph main(x: float[B, S, 4]) {
  a = linear(x) {"width": 8} <weight=up>
  b = activation(a) {"function": "relu"} <>
  c = linear(b) {"width": 4} <weight=down>
  d = add(x, c) {} <>
  e = add(d, d) {} <>
  return e
}
"""
TEN = {"B": 1, "S": 10, "T": 10}
BF16 = Storage(Precision())


def peak(text: str, env: dict[str, int] = TEN, **options: bool) -> int:
    return Liveness(parse(text), env, BF16, **options).peak()


def test_a_chain() -> None:
    """x 80 B stays for the residual; a and b of 160 B live together; the returned value counts apart."""
    assert peak(CHAIN) == 80 + 160 + 160
    # At d: x, c and d (not returned here) are 240 B; at a: 80 + 160.
    assert (
        peak(CHAIN.replace('{"width": 8}', '{"width": 2}').replace("[8, 4]", "[2, 4]").replace("[4, 8]", "[4, 2]"))
        == 240
    )


def test_views_share_memory() -> None:
    """The pieces of a cut keep the whole alive, and cost nothing themselves."""
    text = """program cut {"optional": {}, "meta": {}}
param w [12, 4] linear

graph main(x: float[B, S, 4]) {
  w = linear(x) {"width": 12} <weight=w>
  p, q, r = split(w) {"sizes": [4, 4, 4]} <>
  h = split_heads(q) {"heads": 2} <>
  m = merge_heads(h) {} <>
  s = mul(p, m) {} <>
  t = mul(s, s) {} <>
  u = add(t, r) {} <>
  return u
}
"""
    assert peak(text) == 240 + 80 + 80  # w whole, s, t
    assert peak(text.replace("add(t, r)", "add(t, t)")) == 240 + 80  # w is gone after s: at s 240 + 80, at t 160


LAYERS = """program layers {"optional": {}, "meta": {}}
param {one}.up [8, 4] linear
param {one}.down [4, 8] linear
param {two}.up [40, 4] linear
param {two}.down [4, 40] linear

block one(x: float[B, S, 4], p: int[B, S]) {
  a = linear(x) {"width": 8} <weight={one}.up>
  c = linear(a) {"width": 4} <weight={one}.down>
  d = add(x, c) {} <>
  return d
}

block two(x: float[B, S, 4], p: int[B, S]) {
  a = linear(x) {"width": 40} <weight={two}.up>
  c = linear(a) {"width": 4} <weight={two}.down>
  d = add(x, c) {} <>
  return d
}

graph main(x: float[B, S, 4], p: int[B, S]) {
  y = repeat(x, p) {"calls": [["one", "s", 0, 3], ["two", "s", 3, 1]]} <>
  z = scale(y) {"by": 2} <>
  return z
}
"""


def test_layers() -> None:
    """p 80 B (int64) stays outside; the widest block holds x, a of 800 B and c of 80."""
    assert peak(LAYERS) == 80 + 80 + 800 + 80
    # A stream that main still needs is there beside the layer's own.
    assert peak(LAYERS.replace('scale(y) {"by": 2}', "add(y, x) {}")) == 80 + 80 + 80 + 800 + 80


def test_depth_is_free() -> None:
    deep = peak(LAYERS.replace("0, 3]", "0, 100]").replace('"s", 3, 1', '"s", 100, 1'))
    assert deep == peak(LAYERS)


def test_a_whole_decoder_by_hand() -> None:
    """d 32, 4 heads over 2, FFN 64, bf16, rewritten: the widest moment is inside the MLP."""
    report = cost(resolved(decoder()), context=100)
    tokens, mask, positions = 100, 100 * 8, 100 * 8  # ids are gone by then
    stream, packed, gated = tokens * 32 * 2, tokens * 128 * 2, tokens * 64 * 2
    assert report.memory.activations == mask + positions + stream + packed + 2 * gated  # act(gate) too
    assert report.memory.logits == 100 * 4


def test_scores_that_are_kept() -> None:
    fused, kept = (cost(resolved(decoder()), context=512, materialised=m) for m in (False, True))
    scores = 4 * 512 * 512
    assert kept.memory.activations - fused.memory.activations > 0.9 * scores * 6
    assert kept.memory.activations < fused.memory.activations + scores * 6


def test_chunks() -> None:
    whole, chunked = (cost(resolved(decoder()), context=256, chunk=c) for c in (256, 32))
    assert chunked.memory.activations < whole.memory.activations / 4
    ring = cost(resolved(decoder(mask=window(64))), context=256, chunk=32)
    joined = 2 * 96 * 2 * 8 * 2  # k and v: ring of 64 and chunk of 32, beside the cache
    assert ring.memory.cache == 2 * 2 * 64 * 2 * 8 * 2
    mask = 32 * 96 * 2
    assert chunked.memory.activations < ring.memory.activations <= chunked.memory.activations + joined + mask


@pytest.mark.parametrize("activations", ["bf16", "fp32"])
def test_an_encoder_gives_all_logits(activations: str) -> None:
    size = 4 if activations == "fp32" else 2
    document = decoder(mask="full", precision={"activations": activations})
    assert cost(resolved(document), context=64, batch=2).memory.logits == 2 * 64 * 100 * size


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"kv_heads": 8}, {"mask": window(64)}, {"d_ff": 256}, {"d_ff": 3072}])
def test_against_the_emitted_model(changes: dict[str, Any], tmp_path: Path) -> None:
    """The package's own operations, run one by one with every value freed after its last use: within 10 % above and
    3 % below what is alive at once."""
    shape = {"layers": 3, "d_model": 256, "heads": 8, "kv_heads": 4, "d_ff": 768, "vocab": 16, "max_length": 512}
    document = decoder(**(shape | changes))  # type: ignore[arg-type]
    compile(document, tmp_path / "package", init=1, dtype="fp32")
    package = module(tmp_path / "package" / "model.py")
    package.check_ids = lambda *_: None  # looks at values, which a trace cannot
    model, ids = package.load(), torch.zeros(2, 512, dtype=torch.long)
    held = dict(model.named_parameters()) | dict(model.named_buffers())
    traced = make_fx(lambda p, i: torch.func.functional_call(model, p, (i,)))(held, ids)
    measured = peak_bytes(lambda: Interpreter(traced).run(*held.values(), ids))
    expected = cost(resolved(document), context=512, batch=2, dtype="fp32").memory.activations
    assert 0.97 * measured <= expected <= 1.10 * measured
