"""Compressed memory against compressive-transformer-pytorch, and the paper's form against its own steps written out."""

from pathlib import Path
from typing import Any

import pytest

from compiler.lower.program import lower
from tests.parity.targets import everywhere, frozen, meaning, near
from tests.zoo.renaming import L, Table, Target, renamed
from tests.zoo.shrink import DROP, shrunk

SIZES: dict[str, Any] = {
    "vocab_size": 61, "max_length": 64, "d_model": 32, "n_heads": 4, "d_ff": 128, "length": 8, "memory": 12,
    "segment": 8, "after": 12, "slots": 3, "rate": 4, "left": 22,
}  # fmt: skip


def half(which: int) -> Target:
    return lambda stored, match: stored[match.expand(ATTENTION + "fn.to_kv.weight")].chunk(2)[which]


ATTENTION, MLP = r"attn_layers.\1.fn.", r"ff_layers.\1.fn."
GRU = {"input": "ih", "hidden": "hh"}
PACKAGE: Table = {
    r"decoder\.text\.tokens\.weight": "token_emb.weight",
    r"head\.logits\.(weight|bias)": r"to_logits.1.\1",
    r"distances\.weight": "pos_emb",
    L + r"attention\.q\.weight": ATTENTION + "fn.to_q.weight",
    **{L + rf"attention\.{role}\.weight": half(i) for i, role in enumerate("kv")},
    L + r"attention\.o\.(weight|bias)": ATTENTION + r"fn.to_out.\2",
    L + r"attention\.compressed\.(weight|bias)": ATTENTION + r"fn.compress_mem_fn.conv.\2",
    L + r"attention\.pre_norm\.(weight|bias)": ATTENTION + r"norm.\2",
    L + r"mlp\.pre_norm\.(weight|bias)": MLP + r"norm.\2",
    L + r"mlp\.up\.(weight|bias)": MLP + r"fn.w1.\2",
    L + r"mlp\.down\.(weight|bias)": MLP + r"fn.w2.\2",
    **{
        rf"decoder\.(\d+)\.{ours}\.gru\.{side}_(weight|bias)": rf"{theirs}_layers.\1.gru.\2_{name}"
        for ours, theirs in (("attention", "attn"), ("mlp", "ff"))
        for side, name in GRU.items()
    },
}


@pytest.mark.parametrize(("name", "layers"), [("gru", 1), ("plain", 2)])
def test_package(name: str, layers: int, tmp_path: Path) -> None:
    """Memory of a segment and a half, slots dropped from the fourth segment on."""
    given = frozen(f"compressive_transformer_{name}")
    sizes = SIZES if name == "gru" else {**SIZES, "residual": DROP}
    program = lower(shrunk("compressive-transformer-gru", {"decoder": [{"repeat": layers, "of": ["main"]}]}, sizes))
    weights = renamed(program.parameter_paths(), given.weights, PACKAGE)
    near(meaning(program, weights, given.inputs), given.outputs["logits"])
