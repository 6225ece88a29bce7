"""Positive random features: performer-pytorch's whole models, the causal one as published and in its causal form."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from archspec import zoo
from archspec.spec import Resolved, load_spec, resolve
from compiler.ir.program import Program
from compiler.lower.program import lower
from tests.emit_torch.packages import spec
from tests.parity.drawn import weights_of
from tests.parity.models import ids
from tests.parity.targets import (
    SIZES,
    Frozen,
    all_parameters,
    everywhere,
    frozen,
    meaning,
    near,
    stepped,
    torch_model,
)
from tests.zoo import renaming as r
from tests.zoo.shrink import resized, shrunk

L = r"performer.net.layers.\1."
STACK = r"(?:encoder|decoder)\."
PERFORMER: r.Table = {
    STACK + r"text\.tokens\.weight": "token_emb.weight",
    STACK + r"text\.learned\.weight": "pos_emb.emb.weight",
    STACK + r"final_norm\.(weight|bias)": r"norm.\1",
    r"head\.logits\.(weight|bias)": r"to_out.\1",
    STACK + r"(\d+)\.linear_attention\.([qkv])\.weight": L + r"0.fn.to_\2.weight",
    STACK + r"(\d+)\.linear_attention\.o\.weight": L + "0.fn.to_out.weight",
    STACK + r"(\d+)\.linear_attention\.feature_map\.projection": (
        r"performer/net/layers/\1/0/fn/fast_attention/projection_matrix"
    ),
    STACK + r"(\d+)\.linear_attention\.pre_norm\.(weight|bias)": L + r"0.norm.\2",
    STACK + r"(\d+)\.mlp\.pre_norm\.(weight|bias)": L + r"1.norm.\2",
    STACK + r"(\d+)\.mlp\.up\.(weight|bias)": L + r"1.fn.fn.w1.\2",
    STACK + r"(\d+)\.mlp\.down\.(weight|bias)": L + r"1.fn.fn.w2.\2",
}
SIZES_OF = {"vocab_size": 61, "max_length": 16, "size": 16, "d_model": 24, "n_heads": 3, "d_key": 8, "features": 12,
            "d_ff": 48}  # fmt: skip
LAYERS = [{"repeat": 2, "of": ["main"]}]


def fitted(spec: Resolved, found: Frozen) -> tuple[Program, dict[str, Tensor]]:
    """The program, and its weights, which are all that the reference has."""
    program = lower(spec)
    all_parameters(program, found.weights)
    return program, r.renamed(program.parameter_paths(), found.weights, PERFORMER)


def test_model_is_performers(tmp_path: Path) -> None:
    """PerformerLM of performer-pytorch."""
    found = frozen("performer")
    program, weights = fitted(shrunk("performer-protein", {"encoder": LAYERS}, SIZES_OF), found)
    everywhere(program, weights, found.inputs, found.outputs["logits"], tmp_path, steps=False)


def causal(key_max: str, found: Frozen) -> tuple[Program, dict[str, Tensor]]:
    return fitted(shrunk("performer-imagenet64", {"decoder": LAYERS}, {**SIZES_OF, "key_max": key_max}), found)


@pytest.mark.parametrize("key_max", ["sequence", "running"])
def test_causal_model_is_performers(key_max: str, tmp_path: Path) -> None:
    """PerformerLM of performer-pytorch, as published and with its attention on every prefix alone; that steps too."""
    found = frozen("performer_causal")
    program, weights = causal(key_max, found)
    everywhere(program, weights, found.inputs, found.outputs[key_max], tmp_path, steps=key_max == "running")
    gap = (found.outputs["sequence"] - found.outputs["running"]).abs()
    assert gap[:, :-2].amax() > 0.1  # the future leaks into the published form


@pytest.mark.parametrize("key_max", ["sequence", "running"])
def test_later_tokens(key_max: str) -> None:
    found = frozen("performer_causal")
    program, weights = causal(key_max, found)
    before = meaning(program, weights, found.inputs)
    found.inputs["input_ids"][:, -1] = 2
    gap = (meaning(program, weights, found.inputs) - before).abs()[:, :-1].amax()
    assert (gap > 1e-3) if key_max == "sequence" else (gap == 0)


FORMS: dict[str, dict[str, Any]] = {
    "all at once": {"mask": "full"},
    "causal, over the sequence": {},
    "running": {"feature_map": {"type": "random_exp", "features": 12, "key_max": "running"}},
    "running, undivided": {
        "feature_map": {"type": "random_exp", "features": 12, "key_max": "running"}, "normalise": "none", "scale": 0.3
    },
    "other features": {"feature_map": "elu_plus_one"},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_padded_rows_are_rows_alone(form: str, tmp_path: Path) -> None:
    """A padded key is none: neither in the sums nor in the maximum, in all targets and in steps."""
    op = {"type": "linear_attention", "n_heads": 2, "d_key": 8, "d_value": 6, "normalise": "key_sum",
          "feature_map": {"type": "random_exp", "features": 12}} | FORMS[form]  # fmt: skip
    program = lower(resolve(load_spec(spec(blocks={"main": [{"pre_norm": "layer", "op": op}]}))))
    generator = torch.Generator().manual_seed(1)
    weights = {path: torch.randn(p.shape, generator=generator) for path, p in program.parameter_paths().items()}
    tokens, mask = ids(2, 15), torch.ones(2, 15, dtype=torch.long)
    mask[1, :6] = 0
    padded = {"input_ids": tokens, "attention_mask": mask}
    expected = meaning(program, weights, {"input_ids": tokens})
    expected[1, 6:] = meaning(program, weights, {"input_ids": tokens[1:, 6:]})[0]
    steps = form.startswith(("running", "other"))
    everywhere(program, weights, padded, expected, tmp_path, steps=steps, valid=mask.bool())


@torch.no_grad()
def test_a_long_sequence_in_steps(tmp_path: Path) -> None:
    """The image model's attention alone, its maxima far apart, over several chunks of the scan."""
    document = zoo.read("simple-gla-module")
    op = zoo.read("performer-imagenet64")["stacks"]["decoder"]["blocks"]["main"][0]["op"]
    document["stacks"]["decoder"]["blocks"]["main"][0]["op"] = resized(op, {"n_heads": 2, "d_key": 8, "features": 12})
    program = lower(resolve(load_spec(document)))
    weights = weights_of(program)
    h = torch.randn(1, 150, 16, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.3, 12, 150)[:, None]
    expected, model = meaning(program, weights, {"features": h}), torch_model(program, weights, tmp_path)
    near(model(h), expected)
    for sizes in SIZES:
        near(stepped(model, {"features": h}, sizes), expected)
