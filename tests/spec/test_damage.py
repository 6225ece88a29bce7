"""Damaged documents: whatever is broken, the answer is an InputError or a sound spec, never another exception."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from archspec.errors import InputError
from archspec.spec import canonical, dump, has_holes, load_space, load_spec, resolve, variant_hash
from archspec.spec.compare import differences
from tests.spec.documents import EXAMPLES, SPACES, STACK, tiny

DOCUMENTS = [json.loads(file.read_text()) for file in [*EXAMPLES, *SPACES]]
JUNK: list[Any] = [
    None, True, False, 0, -1, 3, 1.5, 1e300, 10**30, "", "x", "=", "=layer", "=head", "=d_model", "=1/0", "causal",
    "rms",
    "/x", "/vocab", "a", [], {}, [[]], {"type": 3}, {"type": "window", "behind": 3}, {"like": "main"},
    {"repeat": 2, "of": ["main"]}, {"block": "main", "weights": "/s"}, {"parallel": []}, {"concat": ["x", "input"]},
    {"sum": []}, {"first_present": []}, {"op": "identity"}, {"$choice": [1, 2]}, {"$int": [1, 3]}, {"$ref": "kv"},
    {"$if": 3}, {"$if": {"hole": {}, "in": [1]}, "then": 1, "else": 2}, {"$choice": [{"$ref": "me"}], "as": "me"},
    {"$layout": {"of": ["main"], "layers": 10**9, "form": "free"}}, {"resample": {"type": "mean_pool", "stride": 2}},
    "input", "zero", "self", {"type": "by_head", "of": ["full"] * 4}, "alibi", {"type": "sees", "source": "x"},
    {"type": "add", "of": "pre_norm"}, "gru", "replace",
]  # fmt: skip
FIELDS = [
    "weights",
    "set",
    "gate",
    "residual",
    "read",
    "source",
    "mask",
    "name",
    "streams",
    "output",
    "rows",
    "position",
]


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*place, key))


def at(document: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        document = document[key]
    return document


def damaged(draws: random.Random) -> dict[str, Any]:
    document = copy.deepcopy(draws.choice(DOCUMENTS))
    for _ in range(draws.choice([1, 1, 2, 3])):
        where = list(places(document))
        *way, last = draws.choice(where)
        target = at(document, tuple(way))
        kind = draws.choice(["delete", "add", "move", "replace", "replace", "replace"])
        if kind == "delete":
            del target[last]
        elif kind == "add" and isinstance(target, dict):
            target[draws.choice(FIELDS)] = copy.deepcopy(draws.choice(JUNK))
        elif kind == "move":
            target[last] = copy.deepcopy(at(document, draws.choice(where)))
        else:
            target[last] = copy.deepcopy(draws.choice(JUNK))
    return document


@pytest.mark.parametrize("seed", range(10))
def test_damage(seed: int) -> None:
    draws = random.Random(seed)
    for _ in range(80):
        document = damaged(draws)
        try:
            if has_holes(document):
                document, _ = load_space(document, "damaged").draw(lambda hole: draws.choice(hole.samples()))
            resolved = resolve(load_spec(document, "damaged"))
        except InputError as error:
            assert str(error).startswith("damaged")
            continue
        form = canonical(resolved)
        assert canonical(load_spec(json.loads(json.dumps(form)))) == form
        assert json.loads(dump(document)) == document
        assert differences(resolved, resolved) == []
        variant_hash(resolved)


def test_a_source_read_only_by_an_unused_block() -> None:
    """The block counts for what the output is; a model without it has no such stack."""
    document = tiny({f"{STACK}/blocks/look": {"like": "main", "set": {"/0/op/source": "other", "/0/op/position": []}}})
    document["stacks"]["other"] = tiny()["stacks"]["decoder"]
    resolved = resolve(load_spec(document))
    assert resolved.output == "decoder"
    assert resolved.stacks["decoder"].reads == ()
    assert list(resolved.stacks) == ["decoder"]
    assert canonical(resolved) == canonical(load_spec(tiny()))


def test_a_stack_that_nothing_reads() -> None:
    document = tiny({"output": "decoder"})
    document["stacks"]["other"] = tiny()["stacks"]["decoder"]
    with pytest.raises(InputError, match="at /stacks/other: the stack 'other' is read by no other and is not the out"):
        resolve(load_spec(document))
