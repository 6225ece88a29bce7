"""Attention in levels against h-transformer-1d 0.1.9 (frozen), and its packages."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from compiler.ir.program import Program
from compiler.lower.program import lower
from tests.parity.targets import everywhere, frozen
from tests.zoo import renaming as r
from tests.zoo.shrink import shrunk

REAL = {16: 14, 32: 30, 64: 61}  # of the second sequence, as in `make_hierarchical`
SIZES = {"vocab_size": 31, "max_length": 64, "d_model": 24, "n_heads": 3, "d_head": 8, "d_ff": 96,
         "block": {128: 4}}  # fmt: skip
L = r"encoder\.(\d)\."
THEIRS = r"layers.layers.\1."


def projected(stored: r.Stored, match: Any) -> Tensor:
    return stored[match.expand(THEIRS + "0.fn.to_qkv.weight")].chunk(3)["qkv".index(match[2])]


TABLE: r.Table = {
    r"encoder\.text\.tokens\.weight": "token_emb.weight",
    r"encoder\.final_norm\.(weight|bias)": r"to_logits.0.\1",
    r"head\.logits\.(weight|bias)": r"to_logits.1.\1",
    L + r"hierarchical_attention\.pre_norm\.(weight|bias)": THEIRS + r"0.norm.\2",
    L + r"hierarchical_attention\.([qkv])\.weight": projected,
    L + r"hierarchical_attention\.o\.(weight|bias)": THEIRS + r"0.fn.to_out.\2",
    L + r"mlp\.pre_norm\.(weight|bias)": THEIRS + r"1.norm.\2",
    L + r"mlp\.up\.(weight|bias)": THEIRS + r"1.fn.net.0.\2",
    L + r"mlp\.down\.(weight|bias)": THEIRS + r"1.fn.net.2.\2",
}


def case() -> tuple[Program, dict[str, Tensor]]:
    program = lower(shrunk("h-transformer-1d", {"encoder": [{"repeat": 2, "of": ["main"]}]}, SIZES))
    found = r.renamed(program.parameter_paths(), frozen("hierarchical").weights, TABLE)
    return program, {path: weight.contiguous() for path, weight in found.items()}


@pytest.mark.parametrize("form", ["whole", "padded", "short"])
@pytest.mark.parametrize("rows", REAL)
def test_is_the_package(rows: int, form: str, tmp_path: Path) -> None:
    program, weights = case()
    given = frozen("hierarchical")
    inputs, valid = {"input_ids": given.inputs["tokens"][:, : rows - 3 * (form == "short")]}, None
    if form == "padded":
        valid = torch.arange(rows) < torch.tensor([[rows], [REAL[rows]]])
        inputs["attention_mask"] = valid.long()
    everywhere(
        program, weights, inputs, given.outputs[f"{form}_{rows}"], tmp_path, steps=False, valid=valid, runtimes=()
    )
