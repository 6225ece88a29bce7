"""The exported schemas: closed, complete, and of one mind with the types."""

import json
from typing import Any

import pytest

from archspec.errors import InputError
from archspec.spec import load_spec, resolve, space_schema, spec_schema
from tests.spec.documents import ATTENTION, MLP, STACK, tiny
from tests.spec.json_schema import accepts

SPEC, SPACE = spec_schema(), space_schema()


def test_every_reference_is_defined_and_every_definition_used() -> None:
    for schema in (SPEC, SPACE):
        text = json.dumps(schema)
        used = {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}
        assert used == set(schema["$defs"])
        assert all(schema["$defs"].values())


def test_objects_are_closed() -> None:
    for name, definition in SPEC["$defs"].items():
        if "properties" in definition:
            assert definition["additionalProperties"] is False, name


def test_all_types_of_the_grammar_are_there() -> None:
    kinds = {d["properties"]["type"]["const"] for d in SPEC["$defs"].values() if "type" in d.get("properties", {})}
    grammar = """
        index count_mask count_nonpad input tokens token_types learned sinusoid axial features latents
        placeholder patches audio_conv adaptive_tokens linear activation scale mean_pool repeat add gru
        replace projected layer rms l2 group batch gain attention stream sink external compressed_past
        length_projection full causal self window segment keys queries strided fixed random_blocks top_blocks
        label and or not by_head by_length first last at prefix rows_input segment_named sees rope alibi
        relative_bias relative_vectors relative_segments temperature bias_where clip log_buckets exact table
        dynamic llama3 yarn latent_attention linear_attention identity elu_plus_one relu softmax random_exp
        none gated key_sum selective_scan ssd wkv long_conv modal conv_module lsh_attention
        hierarchical_attention compress_select_attention mlp gated_mlp shifted_mlp moe as_scored sum_to_one
        softmax_selected always threshold random tokens factor fraction adaptive_softmax
    """
    assert set(grammar.split()) <= kinds


@pytest.mark.parametrize(
    "changes",
    [
        {f"{ATTENTION}/n_head": 3},
        {f"{ATTENTION}/type": "atention"},
        {f"{ATTENTION}/n_heads": "4"},
        {f"{ATTENTION}/n_heads": ...},
        {f"{ATTENTION}/n_heads": 0},
        {f"{ATTENTION}/mask": "casual"},
        {f"{ATTENTION}/mask": {"type": "window", "behind": 0}},
        {f"{ATTENTION}/mask": {"type": "not"}},
        {f"{MLP}/d_ff": 10**12},
        {f"{MLP}/activation": "sliu"},
        {f"{STACK}/layers": [{"repeat": 3}]},
        {f"{STACK}/blocks/main": {"like": 3}},
        {"archspec": 2},
        {"vocabsize": 3},
    ],
)
def test_both_refuse(changes: dict[str, Any]) -> None:
    document = tiny(changes)
    assert not accepts(SPEC, document)
    with pytest.raises(InputError):
        resolve(load_spec(document))


@pytest.mark.parametrize(
    "hole",
    [
        {"$choice": [8, 16]},
        {"$choice": ["=4*d_model", 8], "as": "ff"},
        {"$int": [8, 64, 8], "as": "ff"},
        {"$float": [8, 64], "log": True},
        {"$ref": "ff"},
        {"$if": {"hole": "ff", "in": [8]}, "then": 16, "else": {"$ref": "ff"}},
    ],
)
def test_a_hole_may_stand_for_a_value_in_a_space_only(hole: dict[str, Any]) -> None:
    document = tiny({f"{MLP}/d_ff": hole, f"{STACK}/blocks/main/0/op/mask": hole, f"{STACK}/d_model": hole})
    assert accepts(SPACE, document)
    assert not accepts(SPEC, document)
    assert not accepts(SPACE, tiny({f"{MLP}/d_ff": {**hole, "more": 1}}))


def test_formula_defaults_are_shown() -> None:
    assert SPEC["$defs"]["Attention"]["properties"]["d_head"]["default"] == "=d_model/n_heads"
