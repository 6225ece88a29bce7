"""Parameters are exact: equal to what transformers' classes hold, and to published sizes."""

import pytest

from archspec import zoo
from archspec.spec import load_spec, resolve
from compiler.cost.report import cost
from tests.cost.reference import REFERENCES
from tests.cost.specs import decoder, resolved


@pytest.mark.parametrize("name", REFERENCES)
def test_equal_to_transformers(name: str) -> None:
    reference = REFERENCES[name]
    report = cost(reference.resolved(), context=16)
    assert report.parameters.total == reference.parameters()


PUBLISHED = {
    "gpt2": 124_439_808, "gpt2-xl": 1_557_611_200, "smollm2-135m": 134_515_008, "llama-2-7b": 6_738_415_616,
    "llama-3-8b": 8_030_261_248, "llama-3-70b": 70_553_706_496, "llama-3.1-405b": 405_853_388_800,
    "llama-3.2-1b": 1_235_814_400, "mistral-7b": 7_241_732_096, "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-7b": 7_615_616_512, "qwen3-0.6b": 596_049_920, "roberta-base": 124_697_433, "bert-base": 109_514_298,
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name: str) -> None:
    report = cost(resolve(load_spec(zoo.read(name), name)), context=128)
    parameters = report.parameters
    assert parameters.total == parameters.stored == parameters.active == PUBLISHED[name]
    assert sum(parameters.by_kind.values()) == parameters.total
    # Packed and fused tensors of the rewritten graph hold the same numbers: 2 bytes each.
    assert parameters.weight_bytes == 2 * parameters.total


@pytest.mark.parametrize(
    ("name", "total", "active"),
    [
        ("mixtral-8x22b", 140_630_071_296, 39_161_468_928),
        ("mixtral-8x7b", 46_702_792_704, 12_879_925_248),
        ("deepseek-v3", 671_026_419_200, None),
    ],
)
def test_mixtures(name: str, total: int, active: int | None) -> None:
    parameters = cost(resolve(load_spec(zoo.read(name), name)), context=128).parameters
    assert parameters.total == total
    assert parameters.active < total / 3 if active is None else parameters.active == active


def test_embeddings_apart() -> None:
    own = cost(resolved(decoder()), context=16).parameters
    tied = cost(resolved(decoder(weights="/vocab")), context=16).parameters
    assert own.total - tied.total == 100 * 32
    assert own.non_embedding == tied.non_embedding == own.total - 2 * 100 * 32


def test_a_layer_that_returns_counts_once() -> None:
    document = decoder(layers=1)
    document["stacks"]["decoder"]["layers"] = [{"block": "main", "weights": "/s"}] * 3
    once, thrice = cost(resolved(decoder(layers=1)), context=16), cost(resolved(document), context=16)
    assert thrice.parameters.total == once.parameters.total
    assert thrice.cache.bytes_per_token == 3 * once.cache.bytes_per_token
    assert thrice.flops.prefill > 2 * once.flops.prefill
