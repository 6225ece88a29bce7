"""Every spec of the zoo is legal, keeps its hash, and says where it comes from."""

from collections import defaultdict
from typing import Any

import pytest

from archspec import zoo
from archspec.spec import dump, load_spec, resolve, spec_hash, variant_hash
from archspec.spec.load import parse_json
from tests.zoo.files import resolved, table

# Names for one and the same variant, on purpose: trained differently, built alike.
ALIASES = [
    {"deepseek-v3", "deepseek-r1"},
    {"qwen2-1.5b", "qwen2.5-1.5b"},
    {"qwen2-7b", "qwen2.5-7b"},
    {"qwen2-72b", "qwen2.5-72b"},
]
# What a plain decoder needs; a newcomer reads it on fifteen lines.
PLAIN = [
    "llama-2-7b", "llama-2-13b", "llama-2-70b", "llama-3-8b", "llama-3-70b", "llama-3.1-8b", "llama-3.1-70b",
    "llama-3.1-405b", "llama-3.2-1b", "llama-3.2-3b", "smollm2-135m", "smollm2-360m", "smollm2-1.7b", "mistral-7b",
    "qwen2-7b", "qwen2.5-7b", "qwen3-8b", "gpt2", "mpt-7b", "mixtral-8x7b", "mamba-130m", "mamba2-130m",
]  # fmt: skip
OPTIONAL_CONCEPTS = {"streams", "rows", "extra_keys", "like", "set", "residual", "output", "read", "write"}


@pytest.mark.parametrize("name", zoo.names())
class TestEach:
    def test_resolves_and_reloads_to_the_same_hash(self, name: str) -> None:
        spec = load_spec(zoo.path(name))
        again = load_spec(parse_json(dump(spec)))
        assert spec_hash(again) == spec_hash(spec) == spec_hash(resolved(name))
        assert variant_hash(again) == variant_hash(spec)

    def test_named_after_its_file(self, name: str) -> None:
        document = zoo.read(name)
        assert document["name"] == name
        assert document["archspec"] == 1
        assert document["source"]
        assert document["max_length"] > 0

    def test_written_in_the_canonical_layout(self, name: str) -> None:
        assert zoo.path(name).read_text() == dump(load_spec(zoo.path(name)))


def test_hashes_are_as_written_down() -> None:
    written = table("hashes.txt")
    now = {name: spec_hash(resolved(name)) for name in zoo.names()}
    assert now == written, "a hash changed: if that is meant, run `python -m tests.zoo.write_tables` and read the diff"


def test_no_variant_has_two_names_by_accident() -> None:
    by_variant = defaultdict(set)
    for name in zoo.names():
        by_variant[variant_hash(resolved(name))].add(name)
    assert sorted(map(sorted, (n for n in by_variant.values() if len(n) > 1))) == sorted(map(sorted, ALIASES))


@pytest.mark.parametrize("name", PLAIN)
def test_newcomers_test(name: str) -> None:
    assert len(zoo.path(name).read_text().splitlines()) <= 15
    assert not OPTIONAL_CONCEPTS & _keys(zoo.read(name))


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    if isinstance(value, list):
        return set().union(*map(_keys, value))
    return set()


def test_a_changed_number_changes_the_hash() -> None:
    document = zoo.read("llama-3-8b")
    document["stacks"]["decoder"]["blocks"]["main"][1]["op"]["d_ff"] += 64
    assert spec_hash(resolve(load_spec(document))) != table("hashes.txt")["llama-3-8b"]
