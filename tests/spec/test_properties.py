"""What never changes a hash, what always does, and that printing loses nothing."""

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from archspec.spec import canonical, dump, load_spec, resolve, spec_hash, spec_schema, variant_hash
from tests.spec.json_schema import accepts
from tests.spec.strategies import documents

SCHEMA = spec_schema()
few = settings(max_examples=60, deadline=None)


def same(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert canonical(load_spec(a)) == canonical(load_spec(b))
    assert spec_hash(load_spec(a)) == spec_hash(load_spec(b))
    assert variant_hash(load_spec(a)) == variant_hash(load_spec(b))


@few
@given(documents())
def test_loading_what_was_printed_is_the_identity(document: dict[str, Any]) -> None:
    text = dump(load_spec(document))
    assert json.loads(text) == document
    assert dump(json.loads(text)) == text
    assert max(map(len, text.splitlines())) <= 120


@few
@given(documents())
def test_the_schema_accepts_what_the_types_accept(document: dict[str, Any]) -> None:
    load_spec(document)
    assert accepts(SCHEMA, document)
    assert accepts(SCHEMA, canonical(load_spec(document)))


@few
@given(documents())
def test_canonical_form_is_a_fixed_point(document: dict[str, Any]) -> None:
    form = canonical(load_spec(document))
    assert canonical(load_spec(json.loads(json.dumps(form)))) == form


@few
@given(documents(), st.randoms(use_true_random=False))
def test_order_of_keys_and_what_is_not_architecture(document: dict[str, Any], random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            keys = list(value)
            random.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    other = shuffled(document)
    blocks = document["stacks"]["decoder"]["blocks"]
    other["stacks"]["decoder"]["blocks"] = shuffled(dict(reversed(blocks.items())))
    other |= {"name": "other", "source": "here", "notes": ["a", "b"], "training": {"dropout": 0.1}, "origin": {"x": 1}}
    same(document, other)


@few
@given(documents())
def test_repeat_or_listed(document: dict[str, Any]) -> None:
    def listed(entries: list[Any]) -> list[Any]:
        flat: list[Any] = []
        for entry in entries:
            flat += listed(entry["of"]) * entry["repeat"] if isinstance(entry, dict) and "repeat" in entry else [entry]
        return flat

    other = copy.deepcopy(document)
    other["stacks"]["decoder"]["layers"] = listed(document["stacks"]["decoder"]["layers"])
    same(document, other)


@few
@given(documents())
def test_names_of_blocks_branches_stacks_streams_inputs_and_weights(document: dict[str, Any]) -> None:
    other = json.loads(json.dumps(document))
    stack = other["stacks"].pop("decoder")
    other["stacks"]["backbone"] = stack
    stack["blocks"] = {f"{name}_2": block for name, block in reversed(stack["blocks"].items())}

    def renamed(entry: Any) -> Any:
        if isinstance(entry, str):
            return f"{entry}_2"
        if "block" in entry:
            return {**entry, "block": f"{entry['block']}_2"}
        return {**entry, "of": [renamed(item) for item in entry["of"]]}

    stack["layers"] = [renamed(entry) for entry in stack["layers"]]
    stack["input"]["name"] = "words"
    stack["streams"] = {"y": "words"}
    stack["final_read"] = "y"
    for block in stack["blocks"].values():
        for i, step in enumerate(block):
            for branch in step.get("parallel", [step]):
                branch |= {"name": f"branch{i}", "read": "y", "write": "y"}
                if isinstance(branch["op"], dict) and "weights" in branch["op"]:
                    branch["op"]["weights"] = {"a": "local", "/b": "/global"}[branch["op"]["weights"]]
    same(document, other)


@few
@given(documents())
def test_defaults_and_formulas_written_out(document: dict[str, Any]) -> None:
    """Every default and every number that a formula gives, written by hand."""
    resolved = resolve(load_spec(document)).stacks["decoder"]
    other = copy.deepcopy(document)
    stack = other["stacks"]["decoder"]
    bodies = [[step.model_dump(mode="json") for step in body] for body in resolved.bodies]
    stack["blocks"] = {f"body{i}": body for i, body in enumerate(bodies)}
    stack["layers"] = [f"body{layer.body}" for layer in resolved.layers]
    stack["input"] = [item.model_dump(mode="json") for item in resolved.inputs]
    same(document, other)


@few
@given(documents())
def test_like_with_set(document: dict[str, Any]) -> None:
    other = copy.deepcopy(document)
    stack = other["stacks"]["decoder"]
    blocks = stack["blocks"]
    first = next(iter(blocks))
    blocks["stand_in"] = [{"op": "identity"}] * len(blocks[first])
    blocks[first] = {"like": "stand_in", "set": {f"/{i}": step for i, step in enumerate(blocks[first])}}
    same(document, other)


@few
@given(documents(), st.randoms(use_true_random=False))
def test_order_inside_and_or(document: dict[str, Any], random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            copied = {key: shuffled(item) for key, item in value.items()}
            if value.get("type") in ("and", "or"):
                random.shuffle(copied["of"])
                copied["of"] = [{"type": value["type"], "of": copied["of"]}]
            return copied
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    same(document, shuffled(document))


@few
@given(documents())
def test_a_real_change_changes_the_hash(document: dict[str, Any]) -> None:
    before = spec_hash(load_spec(document))
    for place, value in (("vocab_size", 51), ("d_model", 64), ("layers", None)):
        other = copy.deepcopy(document)
        stack = other["stacks"]["decoder"]
        if place == "layers":
            stack["layers"].append(stack["layers"][0])
        elif place in stack:
            stack[place] = value
        else:
            other[place] = value
        assert spec_hash(load_spec(other)) != before
    longer = {**document, "max_length": 128}
    assert spec_hash(load_spec(longer)) == before
    assert variant_hash(load_spec(longer)) != variant_hash(load_spec(document))
