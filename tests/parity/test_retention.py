"""Retention networks against torchscale and yet-another-retnet: parallel, chunkwise and recurrent forms are one mixer."""

from pathlib import Path

import pytest

from compiler.lower.program import lower
from tests.parity.targets import everywhere, frozen, near
from tests.zoo.renaming import L, Table, renamed
from tests.zoo.shrink import shrunk

FORMS = ("chunkwise", "recurrent")
TWO = [{"repeat": 2, "of": ["main"]}]
TORCHSCALE: Table = {
    r"vocab\.weight": "embed_tokens.weight",
    r"decoder\.text\.tokens\.weight": "embed_tokens.weight",
    r"decoder\.final_norm\.weight": "layer_norm.weight",
    r"head\.logits\.weight": "output_projection.weight",
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


def test_torchscale(tmp_path: Path) -> None:
    given = frozen("torchscale_retnet")
    sizes = {"vocab_size": 61, "max_length": 64, "d_model": 32, "n_heads": 4, "d_key": 8, "d_value": 16, "d_ff": 48}
    program = lower(shrunk("retnet-1.3b-torchscale", {"decoder": TWO}, sizes))
    weights = renamed(program.parameter_paths(), given.weights, TORCHSCALE)
    inputs = {"input_ids": given.inputs["tokens"]}
    everywhere(program, weights, inputs, given.outputs["parallel"], tmp_path)
