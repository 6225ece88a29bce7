"""Roofline: limits from the sheet, expectations below them, and the published measurements that the defaults fit."""

import json
from pathlib import Path

import pytest

from archspec import zoo
from archspec.errors import InputError
from archspec.spec import Resolved, load_spec, resolve
from compiler.cost.calibration import efficiency, read_calibration
from compiler.cost.devices import DEVICES, device
from compiler.cost.report import cost
from tests.cost.specs import decoder, resolved


def named(name: str) -> Resolved:
    return resolve(load_spec(zoo.read(name), name))


def test_decode_is_at_most_bandwidth_over_bytes() -> None:
    """Llama-3-8B, 1,024 tokens: all weights but the input embedding, the cache, and little else."""
    report = cost(named("llama-3-8b"), context=1024, device="a100-80gb")
    read = 2 * (8_030_261_248 - 525_336_576) + 1024 * 131_072
    limit = 2039e9 / read
    assert report.speed.decode_limit == pytest.approx(limit, rel=0.01) and report.speed.decode_limit < limit
    assert report.speed.decode_bytes == pytest.approx(read, rel=0.01)
    assert report.bound == "memory"


def test_prefill_is_at_most_rate_over_operations() -> None:
    report = cost(named("llama-3-8b"), context=2048, chunk=2048, device="a100-80gb")
    limit = 2048 * 312e12 / report.flops.prefill_generation
    assert report.speed.prefill_limit is not None
    assert 0.9 * limit < report.speed.prefill_limit < limit
    assert report.speed.prefill_bound == "compute"


def test_expectations_fit_published_measurements() -> None:
    """hahnyuan/LLM-Viewer issue 4: LLaMA-7B on A100 with TensorRT-LLM against a plain roofline over the whole model.

    Prefill: the roofline's time is 57 % below the measured one at 128 tokens, 16 % at 2,048. Decode: its tokens a
    second are 44 to 91 % above the measured ones.
    """
    n, llama = 6_738_415_616, named("llama-2-7b")
    for tokens, short in ((128, 0.57), (2048, 0.16)):
        report = cost(llama, context=tokens, device="a100-80gb")
        roofline = max(report.flops.prefill_exact / 312e12, 2 * n / 2039e9)
        assert report.speed.prefill_tokens_per_second is not None
        assert tokens / report.speed.prefill_tokens_per_second == pytest.approx(roofline / (1 - short), rel=0.15)
    decode = cost(llama, context=1024, device="a100-80gb").speed
    assert decode.decode_limit is not None and decode.decode_tokens_per_second is not None
    assert 1.40 < decode.decode_limit / decode.decode_tokens_per_second < 1.91


def test_reported_dense_efficiency() -> None:
    """Tokens a second times active bytes over bandwidth: RTX 4090 dense 0.69, RTX 5090 dense 0.70 (quartiles 0.61 to
    0.81), mixtures 0.32 to 0.39, over runs that users report."""
    for name, where, low, high in (("llama-3-8b", "rtx-4090", 0.61, 0.81), ("qwen2.5-7b", "rtx-5090", 0.61, 0.81)):
        report = cost(named(name), context=2048, device=where)
        assert report.speed.decode_tokens_per_second is not None
        share = report.speed.decode_tokens_per_second * 2 * report.parameters.active / device(where).bandwidth
        assert low < share < high
    report = cost(named("qwen3-30b-a3b"), context=2048, device="rtx-5090", dtype="q4_k")
    assert report.speed.decode_tokens_per_second is not None
    touched = 4.5 / 8 * 2.9e9 + 2 * 151936 * 2048
    assert 0.2 < report.speed.decode_tokens_per_second * touched / 1792e9 < 0.5


def test_small_models_are_bound_by_launches() -> None:
    report = cost(named("smollm2-135m"), context=512, device="h100-sxm")
    assert report.bound == "launch" and "fixed costs" in report.why


def test_what_does_not_fit_says_so() -> None:
    report = cost(named("llama-3-70b"), context=512)
    assert report.bound == "capacity" and not report.fits and "does not fit" in report.why


def test_batches_share_the_weights() -> None:
    one, many = (cost(named("llama-3-8b"), context=512, batch=b, device="a100-80gb") for b in (1, 16))
    assert one.speed.decode_tokens_per_second is not None and many.speed.decode_tokens_per_second is not None
    assert 8 < many.speed.decode_tokens_per_second / one.speed.decode_tokens_per_second < 16
    turning = cost(named("llama-3-8b"), context=64, device="a100-80gb").speed.compute_bound_batch
    assert turning is not None
    below, above = (
        cost(named("llama-3-8b"), context=64, batch=b, device="a100-80gb").speed.decode_bound
        for b in (turning // 3, turning * 3)
    )
    assert (below, above) == ("memory", "compute")


def test_distinct_experts_are_read() -> None:
    """Eight experts, two chosen: a batch of one reads 2, of four 8·(1 - (3/4)^4) = 5.47, of many all."""
    reads = {}
    for batch in (1, 4, 64):
        report = cost(named("mixtral-8x7b"), context=16, batch=batch, device="b200")
        assert report.speed.decode_bytes is not None
        reads[batch] = report.speed.decode_bytes
    expert = 32 * 3 * 4096 * 14336 * 2
    assert reads[4] - reads[1] == pytest.approx((8 * (1 - 0.75**4) - 2) * expert, rel=0.01)
    assert reads[64] - reads[1] == pytest.approx(6 * expert, rel=0.02)


def test_devices() -> None:
    for one in DEVICES.values():
        assert one.bandwidth > 5e9 and one.memory_bytes > 2**30 and one.source
        assert one.rate("fp32") is not None and one.rate("fp64") is None
    assert device("RTX 4090").memory_bytes == 24564 * 2**20
    with pytest.raises(InputError, match="did you mean h100-sxm"):
        device("h100_sx")


def test_a_rate_that_is_not_known_is_not_guessed() -> None:
    report = cost(resolved(decoder()), context=16, dtype="fp64")
    assert report.speed.prefill_tokens_per_second is None and report.bound == "unknown"


def test_calibration_replaces_defaults(tmp_path: Path) -> None:
    file = tmp_path / "measured.json"
    file.write_text(json.dumps({"rtx-4090": {"memory": 0.9, "launch_seconds": 0}}))
    measured = read_calibration(file)
    assert efficiency("rtx-4090", "gpu", measured).memory == 0.9
    assert efficiency("rtx-4090", "gpu", measured).source == "measured"
    assert efficiency("l4", "gpu", measured) == efficiency("l4", "gpu")
    plain, better = (cost(named("llama-3-8b"), context=512, calibration=c).speed for c in (None, measured))
    assert plain.decode_tokens_per_second is not None and better.decode_tokens_per_second is not None
    assert better.decode_tokens_per_second > 1.1 * plain.decode_tokens_per_second
    assert better.decode_limit == plain.decode_limit


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not JSON"), ("[]", "object of objects"), ('{"l4": {"speed": 1}}', "unknown field"),
     ('{"l4": {"memory": 1.2}}', "at most 1"), ('{"l4": {"memory": true}}', "a number"), ('{"l4": 3}', "object of")],
)  # fmt: skip
def test_bad_calibrations(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "measured.json"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_calibration(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_calibration(tmp_path / "none.json")
