"""Operations under the stated conventions: all pairs as torch's counter, visible pairs by counting rows."""

import pytest

from archspec import zoo
from archspec.spec import load_spec, resolve
from compiler.cost.report import cost
from tests.cost.reference import REFERENCES
from tests.cost.specs import decoder, resolved, window


@pytest.mark.parametrize("name", REFERENCES)
def test_equal_to_the_counter(name: str) -> None:
    """2mnk of every matrix product that the class executes; nothing of it is left out."""
    reference = REFERENCES[name]
    assert cost(reference.resolved(), context=48, batch=2).flops.prefill == reference.flops(2, 48)


def test_gpt2_at_512_tokens() -> None:
    flops = cost(resolve(load_spec(zoo.read("gpt2"))), context=512).flops
    core = 12 * 4 * 512**2 * 768
    assert flops.prefill == 2 * 512 * (84_934_656 + 38_597_376) + core == 136_160_477_184
    visible = 512 * 513 // 2
    assert flops.prefill_exact == flops.prefill - core + 12 * 4 * visible * 768
    assert flops.prefill_generation == flops.prefill_exact - 2 * 511 * 38_597_376
    assert flops.decode == flops.decode_exact == 2 * (84_934_656 + 38_597_376) + 12 * 4 * 512 * 768


@pytest.mark.parametrize("behind", [1, 7, 40, 100])
def test_a_window_counts_its_pairs(behind: int) -> None:
    seen = sum(min(i + 1, behind) for i in range(40))
    flops = cost(resolved(decoder(mask=window(behind))), context=40).flops
    full = cost(resolved(decoder()), context=40).flops
    per_pair = 2 * 2 * 4 * (8 + 8)  # 2 layers, 4 heads of 8 for scores and values
    assert flops.prefill == full.prefill
    assert full.prefill - flops.prefill_exact == per_pair * (1600 - seen)


def test_an_encoder_runs_once() -> None:
    """T5: a decoded token pays for its own stack and for scores over the source, never for the encoder."""
    flops = cost(resolve(load_spec(zoo.read("t5-small"))), context=64).flops
    d, ff, inner, layers, vocab = 512, 2048, 512, 6, 32128
    own = layers * (4 * d * inner + 2 * d * inner + 2 * d * ff) + d * vocab  # self, cross q and o, mlp, head
    assert flops.decode == 2 * own + layers * 2 * 4 * 64 * inner
