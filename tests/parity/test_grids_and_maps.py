"""Axial attention and Linformer against the published packages, all targets; masks along an axis of a grid."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archspec.spec import load_spec, resolve
from compiler.ir.program import Program
from compiler.lower.program import lower
from tests.emit_torch.exact import drawn, emitted
from tests.emit_torch.packages import spec
from tests.parity.targets import everywhere, frozen, meaning, near
from tests.zoo.renaming import Table, part, renamed
from tests.zoo.shrink import shrunk

AXIAL: Table = {
    r"encoder\.0\.attention\.(q)\.weight": r"axial_attentions.0.fn.to_\1.weight",
    r"encoder\.0\.attention\.(k|v)\.weight": part("axial_attentions.0.fn.to_kv.weight", names=("k", "v")),
    r"encoder\.0\.attention\.o\.(weight|bias)": r"axial_attentions.0.fn.to_out.\1",
}
for ours, theirs in ((2, 1), (3, 2)):
    AXIAL |= {
        rf"encoder\.0\.attention_{ours}\.(q)\.weight": rf"axial_attentions.{theirs}.fn.to_\1.weight",
        rf"encoder\.0\.attention_{ours}\.(k|v)\.weight": part(
            f"axial_attentions.{theirs}.fn.to_kv.weight", names=("k", "v")
        ),
        rf"encoder\.0\.attention_{ours}\.o\.(weight|bias)": rf"axial_attentions.{theirs}.fn.to_out.\1",
    }


def test_axial_attention(tmp_path: Path) -> None:
    given = frozen("axial")
    program = lower(shrunk("axial-attention-module", {}, {"d_model": 16, "width": 16, "n_heads": 2}))
    weights = renamed(program.parameter_paths(), given.weights, AXIAL)
    grid, out = given.inputs["grid"].movedim(1, -1), given.outputs["out"].movedim(1, -1)
    everywhere(program, weights, {"features": grid}, out, tmp_path, steps=False)


def test_axial_attention_over_three_axes(tmp_path: Path) -> None:
    given = frozen("axial_3d")
    program = axial([{"bias": ["o"]}] * 3)
    weights = renamed(
        program.parameter_paths(), given.weights, {k.replace("encoder", "decoder"): v for k, v in AXIAL.items()}
    )
    everywhere(program, weights, {"features": given.inputs["grid"]}, given.outputs["out"], tmp_path, steps=False)


def axial(axes: list[dict[str, Any]]) -> Program:
    """One attention along each axis, the results added."""
    branches = [
        {"op": {"type": "attention", "n_heads": 2, "axis": i, **more}, "residual": "add" if i else "replace"}
        for i, more in enumerate(axes)
    ]
    document = spec(
        blocks={"main": [{"parallel": branches}]},
        layers=["main"],
        stack={"input": {"sum": [{"type": "features", "width": 16}]}, "final_norm": None},
    )
    del document["head"]
    return lower(resolve(load_spec(document)))


MASKS = {
    "causal": {"type": "causal"},
    "window": {"type": "window", "behind": 2, "ahead": 1},
    "random": {"type": "or", "of": [{"type": "self"}, {"type": "random_blocks", "block": 1, "count": 1, "seed": 3}]},
    "chosen": {"type": "and", "of": [{"type": "causal"}, {"type": "top_blocks", "block": 2, "count": 2}]},
}


@pytest.mark.parametrize("form", MASKS)
@torch.no_grad()
def test_masks_along_each_axis(form: str, tmp_path: Path) -> None:
    """Slots count along the axis: the second is longer than the first."""
    program = axial([{"mask": MASKS[form]}, {"mask": MASKS[form]}])
    weights = {path: weight.float() for path, weight in drawn(program).items()}
    grid = torch.randn(2, 5, 9, 16, generator=torch.Generator().manual_seed(0))
    expected = meaning(program, weights, {"features": grid})
    everywhere(program, weights, {"features": grid}, expected, tmp_path, steps=False)
    if form == "causal":
        lines = [
            attended(weights, n, grid.movedim(axis + 1, 2)).movedim(2, axis + 1) for axis, n in enumerate(("", "_2"))
        ]
        near(sum(lines, torch.zeros(())), expected)


def attended(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """torch's causal attention along the last but one axis."""
    home = f"decoder.0.attention{name}"
    q, k, v = ((x @ weights[f"{home}.{role}.weight"].T).unflatten(-1, (2, 8)).transpose(-3, -2) for role in "qkv")
    y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return y.transpose(-3, -2).flatten(-2) @ weights[f"{home}.o.weight"].T


def test_a_grid_does_not_step(tmp_path: Path) -> None:
    program = axial([{"mask": {"type": "causal"}}] * 2)
    with pytest.raises(RuntimeError, match="a grid is run as a whole"):
        emitted(program, drawn(program), tmp_path).step(torch.zeros(1, 2, 3, 16), None)


ROLES = {"attention": "0", "mlp": "1"}
L = r"encoder\.(\d+)\."
LINFORMER: Table = {
    r"encoder\.text\.tokens\.weight": "token_emb.weight",
    r"encoder\.text\.learned\.weight": "pos_emb.weight",
    r"head\.logits\.(weight|bias)": r"to_logits.\1",
    **{L + rf"{ours}\.pre_norm\.(weight|bias)": rf"linformer.net.layers.\1.{n}.norm.\2" for ours, n in ROLES.items()},
    L + r"attention\.([qkv])\.weight": r"linformer.net.layers.\1.0.fn.to_\2.weight",
    L + r"attention\.o\.(weight|bias)": r"linformer.net.layers.\1.0.fn.to_out.\2",
    L + r"attention\.key_map\.(k|v)\.weight": lambda w, m: w[m.expand(r"linformer.net.layers.\1.0.fn.proj_\2")].T,
    L + r"attention\.key_map\.weight": lambda w, m: w[m.expand(r"linformer.net.layers.\1.0.fn.proj_k")].T,
    L + r"mlp\.up\.(weight|bias)": r"linformer.net.layers.\1.1.fn.w1.\2",
    L + r"mlp\.down\.(weight|bias)": r"linformer.net.layers.\1.1.fn.w2.\2",
}
# With share_kv the package projects keys and values by one matrix too.
SHARED: Table = {L + r"attention\.v\.weight": r"linformer.net.layers.\1.0.fn.to_k.weight", **LINFORMER}


@pytest.mark.parametrize("form", ["whole", "shorter"])
@pytest.mark.parametrize("shared", [False, True], ids=["two maps", "one map"])
def test_linformer(shared: bool, form: str, tmp_path: Path) -> None:
    given = frozen("linformer_shared" if shared else "linformer")
    sizes = {
        "vocab_size": 61, "max_length": 24, "d_model": 16, "n_heads": 4, "d_ff": 64, "size": 24,
        "key_map": {"type": "length_projection", "length": 24, "rank": 8, "shared": shared},
    }  # fmt: skip
    program = lower(shrunk("linformer-base", {"encoder": [{"repeat": 2, "of": ["main"]}]}, sizes))
    weights = renamed(program.parameter_paths(), given.weights, SHARED if shared else LINFORMER)
    out = given.outputs[form]
    everywhere(program, weights, {"input_ids": given.inputs["tokens"][:, : out.shape[1]]}, out, tmp_path, steps=False)
