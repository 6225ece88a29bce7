"""Retention networks against torchscale and yet-another-retnet, whose three forms are all one mixer here."""

from pathlib import Path
from typing import Any

import pytest

from archspec import zoo
from compiler.lower.program import lower
from tests.parity.targets import all_parameters, everywhere, frozen, meaning, near
from tests.zoo.renaming import L, Table, renamed
from tests.zoo.shrink import shrunk

TWO = [{"repeat": 2, "of": ["main"]}]
SIZES = {"vocab_size": 61, "max_length": 64, "d_model": 32, "n_heads": 4, "d_key": 8, "d_ff": 48}
TORCHSCALE: Table = {
    r"vocab\.weight": "embed_tokens.weight",
    r"decoder\.final_norm\.weight": "layer_norm.weight",
    L + r"linear_attention\.pre_norm\.weight": r"layers.\1.retention_layer_norm.weight",
    L + r"gated_mlp\.pre_norm\.weight": r"layers.\1.final_layer_norm.weight",
    L + r"linear_attention\.([qkv])\.weight": r"layers.\1.retention.\2_proj.weight",
    L + r"linear_attention\.gate\.weight": r"layers.\1.retention.g_proj.weight",
    L + r"linear_attention\.o\.weight": r"layers.\1.retention.out_proj.weight",
    # The activation is on fc1: our gate.
    L + r"gated_mlp\.gate\.weight": r"layers.\1.ffn.fc1.weight",
    L + r"gated_mlp\.up\.weight": r"layers.\1.ffn.gate.weight",
    L + r"gated_mlp\.down\.weight": r"layers.\1.ffn.fc2.weight",
}
ANOTHER: Table = {
    r"decoder\.text\.tokens\.weight": "embedding.weight",
    r"head\.logits\.(weight|bias)": r"out.\1",
    L + r"linear_attention\.pre_norm\.(weight|bias)": r"decoder.layers.\1.norm1.\2",
    L + r"mlp\.pre_norm\.(weight|bias)": r"decoder.layers.\1.norm2.\2",
    L + r"linear_attention\.([qkv])\.(weight|bias)": r"decoder.layers.\1.retention.\2_proj.\3",
    L + r"linear_attention\.gate\.(weight|bias)": r"decoder.layers.\1.retention.g_proj.\2",
    L + r"linear_attention\.o\.(weight|bias)": r"decoder.layers.\1.retention.out_proj.\2",
    L + r"mlp\.up\.(weight|bias)": r"decoder.layers.\1.linear1.\2",
    L + r"mlp\.down\.(weight|bias)": r"decoder.layers.\1.linear2.\2",
}
CASES: dict[str, tuple[str, dict[str, Any], Table]] = {
    "torchscale_retnet": ("retnet-1.3b-torchscale", {**SIZES, "d_value": 16}, TORCHSCALE),
    "yet_another_retnet": ("retnet-yar-1.3b", SIZES, ANOTHER),
}


@pytest.mark.parametrize("name", CASES)
def test_all_forms(name: str, tmp_path: Path) -> None:
    """The row normalisers of torchscale's parallel form and the running ones of its chunks are not ours: its norm
    without gain takes them out."""
    spec, sizes, table = CASES[name]
    given = frozen(name)
    program = lower(shrunk(spec, {"decoder": TWO}, sizes))
    weights = renamed(program.parameter_paths(), given.weights, table)
    all_parameters(program, given.weights)
    inputs = {"input_ids": given.inputs["tokens"]}
    everywhere(program, weights, inputs, given.outputs["parallel"], tmp_path)
    ours = meaning(program, weights, inputs)
    for form in ("chunkwise", "recurrent"):
        near(ours, given.outputs[form])


@pytest.mark.parametrize("name", CASES)
def test_readings_differ(name: str) -> None:
    """Each choice in which the two readings differ moves the output: neither stands for the other."""
    spec, sizes, table = CASES[name]
    given = frozen(name)
    op = zoo.read(spec)["stacks"]["decoder"]["blocks"]["main"][0]["op"]
    (other,) = (zoo.read(CASES[n][0])["stacks"]["decoder"]["blocks"]["main"][0]["op"] for n in CASES if n != name)
    changes = {field: other[field] for field in ("decay", "inner_norm")}
    changes["position"] = [{**op["position"][0], "ladder": "open"}]
    program = lower(shrunk(spec, {"decoder": TWO}, sizes))
    weights = renamed(program.parameter_paths(), given.weights, table)
    for field, value in changes.items():
        changed = lower(shrunk(spec, {"decoder": TWO}, {**sizes, field: value}))
        found = meaning(changed, weights, {"input_ids": given.inputs["tokens"]})
        assert (found - given.outputs["parallel"]).abs().max() > 1e-2, field
