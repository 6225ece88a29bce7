"""What must hold for any plain decoder: more of something never costs less of what it is made of."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.cost.report import CostReport, cost
from tests.cost.specs import decoder, resolved, window

SHAPES = st.fixed_dictionaries({
    "layers": st.integers(1, 4), "heads": st.sampled_from([2, 4, 8]), "d_ff": st.sampled_from([32, 64, 96]),
    "vocab": st.integers(2, 300), "max_length": st.just(4096),
})  # fmt: skip
LENGTHS = st.integers(1, 600)
few = settings(max_examples=40, deadline=None)


def of(shape: dict[str, Any], **options: Any) -> CostReport:
    behind = options.pop("behind", None)
    document = decoder(**shape, d_model=64, kv_heads=2, mask="causal" if behind is None else window(behind))
    return cost(resolved(document), **options)


@few
@given(SHAPES, LENGTHS, LENGTHS, st.integers(1, 4))
def test_longer_and_more(shape: dict[str, Any], one: int, two: int, batch: int) -> None:
    short, long = (of(shape, context=n, batch=batch) for n in sorted((one, two)))
    assert short.memory.total <= long.memory.total
    assert short.flops.prefill_exact <= long.flops.prefill_exact
    assert (short.flops.decode or 0) <= (long.flops.decode or 0)
    assert short.speed.decode_tokens_per_second >= long.speed.decode_tokens_per_second  # type: ignore[operator]
    more = of(shape, context=one, batch=batch + 1)
    same = of(shape, context=one, batch=batch)
    assert more.memory.cache > same.memory.cache and more.memory.weights == same.memory.weights
    assert more.speed.decode_tokens_per_second > same.speed.decode_tokens_per_second  # type: ignore[operator]


@few
@given(SHAPES, LENGTHS, st.integers(1, 700), st.integers(1, 700))
def test_wider_windows(shape: dict[str, Any], context: int, one: int, two: int) -> None:
    near, far = (of(shape, context=context, behind=n) for n in sorted((one, two)))
    full = of(shape, context=context)
    assert near.memory.cache <= far.memory.cache <= full.memory.cache
    assert near.flops.prefill_exact <= far.flops.prefill_exact <= full.flops.prefill_exact
    assert near.flops.prefill == full.flops.prefill and near.parameters == full.parameters
    if min(one, two) >= context:
        assert near.memory == full.memory


@few
@given(SHAPES, LENGTHS)
def test_deeper(shape: dict[str, Any], context: int) -> None:
    shallow, deep = of(shape, context=context), of(shape | {"layers": shape["layers"] + 1}, context=context)
    assert deep.memory.activations == shallow.memory.activations
    assert deep.parameters.total > shallow.parameters.total and deep.flops.prefill > shallow.flops.prefill
    each = shallow.cache.bytes_per_token // shape["layers"]
    assert deep.cache.bytes_per_token == shallow.cache.bytes_per_token + each


@few
@given(SHAPES, LENGTHS, st.sampled_from(["q4_0", "q8_0", "int8", "q6_k"]))
def test_fewer_bits(shape: dict[str, Any], context: int, dtype: str) -> None:
    full, small = (
        of(shape | {"d_ff": 256}, context=context, dtype="fp32"),
        of(shape | {"d_ff": 256}, context=context, dtype=dtype),
    )
    assert small.memory.weights < full.memory.weights
    assert small.parameters.total == full.parameters.total and small.flops == full.flops


@few
@given(SHAPES, LENGTHS, st.integers(1, 600))
def test_bounds(shape: dict[str, Any], context: int, chunk: int) -> None:
    """Expected speed never beats the limit; a chunk never needs more than the whole; visible pairs are some of all."""
    report = of(shape, context=context, chunk=chunk)
    speed, flops = report.speed, report.flops
    assert speed.prefill_tokens_per_second <= speed.prefill_limit  # type: ignore[operator]
    assert speed.decode_tokens_per_second <= speed.decode_limit  # type: ignore[operator]
    assert flops.prefill_generation <= flops.prefill_exact <= flops.prefill
    assert report.memory.activations <= of(shape, context=context, chunk=context).memory.activations
    assert report.prefill_chunk == min(chunk, context)
    assert report.to_json()["memory"]["total"] == report.memory.total
