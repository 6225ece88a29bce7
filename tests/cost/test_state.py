"""What is carried from token to token, to the byte."""

import pytest

from archspec import zoo
from archspec.spec import Resolved, load_spec, resolve
from compiler.cost.report import cost
from tests.cost.specs import decoder, resolved, window


def named(name: str) -> Resolved:
    return resolve(load_spec(zoo.read(name), name))


@pytest.mark.parametrize(
    ("name", "each"),
    [("llama-3-70b", 320 * 1024), ("smollm2-135m", 23_040), ("llama-2-7b", 512 * 1024), ("gpt2", 36_864),
     ("mixtral-8x22b", 224 * 1024), ("deepseek-v3", 70_272), ("deepseek-v2-lite", 31_104), ("qwen2.5-7b", 57_344)],
)  # fmt: skip
def test_bytes_per_token(name: str, each: int) -> None:
    cache = cost(named(name), context=1000).cache
    assert cache.bytes_per_token == each
    assert cache.at_context == 1000 * each
    assert cache.constant_bytes == cache.cross_bytes_per_encoder_token == 0


def test_windows_keep_rings() -> None:
    mistral = cost(named("mistral-7b"), context=16384).cache
    assert mistral.bytes_per_token == 131_072
    assert mistral.at_context == 4096 * 131_072
    mixed = decoder(layers=1)
    stack = mixed["stacks"]["decoder"]
    stack["blocks"]["local"] = {"like": "main", "set": {"/0/op/mask": window(16)}}
    stack["layers"] = ["main", "local", "local"]
    one = 2 * 2 * 8 * 2  # k and v, 2 heads of 8, bf16
    for context, kept in ((8, 3 * 8), (16, 3 * 16), (100, 100 + 2 * 16)):
        assert cost(resolved(mixed), context=context).cache.at_context == kept * one


def test_sources() -> None:
    cache = cost(named("t5-base"), context=100).cache
    assert cache.bytes_per_token == cache.cross_bytes_per_encoder_token == 2 * 12 * 768 * 2
    assert cache.at_context == 200 * 2 * 12 * 768 * 2


def test_images_are_a_source_of_fixed_length() -> None:
    """Keys and values of 64 latents in 8 of 32 layers are made once; a token pays for neither them nor the image."""
    report = cost(named("idefics-9b"), context=100)
    d, ff, vocab, layers, crossing = 4096, 11008, 32002, 32, 8
    assert report.cache.bytes_per_token == layers * 2 * d * 2 and report.cache.cross_bytes_per_encoder_token == 0
    assert report.cache.constant_bytes == crossing * 2 * 64 * d * 2
    own = layers * (4 * d * d + 3 * d * ff) + crossing * (2 * d * d + 3 * d * ff) + d * vocab
    assert report.flops.decode == 2 * own + layers * 4 * 100 * d + crossing * 4 * 64 * d
    assert report.speed.decode_tokens_per_second and report.speed.prefill_tokens_per_second


def test_constant_state() -> None:
    mamba = cost(named("mamba2-130m"), context=5000).cache
    inner, state, conv = 1536, 128, 3
    assert mamba.constant_bytes == mamba.at_context == 24 * (inner * state * 4 + (inner + 2 * state) * conv * 2)
    assert mamba.bytes_per_token == 0
    retnet = cost(named("retnet-6.7b"), context=8192).cache
    assert retnet.constant_bytes == 32 * 16 * 256 * 512 * 4  # kept in fp32


def test_models_without_steps_keep_nothing() -> None:
    report = cost(named("bert-base"), context=512)
    assert report.no_step is not None and "later" in report.no_step
    assert report.cache.at_context == report.memory.cache == 0
    assert report.flops.decode is report.speed.decode_tokens_per_second is None


@pytest.mark.parametrize(
    ("cache", "row"), [("bf16", 16), ("fp32", 32), ("fp8", 8), ("int8", 10), ("q8_0", 34), ("fp64", 64)]
)
def test_cache_formats(cache: str, row: int) -> None:
    """Bytes of one row of a head of 8: scales and whole blocks included."""
    report = cost(resolved(decoder(precision={"cache": cache})), context=10)
    assert report.cache.bytes_per_token == 2 * 2 * 2 * row


def test_batch_multiplies_memory_not_the_sequence() -> None:
    one, four = (cost(resolved(decoder()), context=50, batch=b) for b in (1, 4))
    assert four.cache == one.cache
    assert four.memory.cache == 4 * one.memory.cache
    assert four.flops.prefill == 4 * one.flops.prefill
