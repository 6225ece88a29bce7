"""Positive random features: performer-pytorch's whole model, its causal attention as published, and the causal form."""

from pathlib import Path
from typing import Any

import pytest
import torch

from archspec import zoo
from archspec.spec import load_spec, resolve
from compiler.ir.program import Program
from compiler.lower.program import lower
from tests.emit_torch.packages import spec
from tests.parity.models import ids
from tests.parity.targets import SIZES, everywhere, frozen, meaning, near, stepped, torch_model
from tests.zoo import renaming as r
from tests.zoo.shrink import shrunk

L = r"performer.net.layers.\1."
PERFORMER: r.Table = {
    r"encoder\.text\.tokens\.weight": "token_emb.weight",
    r"encoder\.text\.learned\.weight": "pos_emb.emb.weight",
    r"encoder\.final_norm\.(weight|bias)": r"norm.\1",
    r"head\.logits\.(weight|bias)": r"to_out.\1",
    r"encoder\.(\d+)\.linear_attention\.([qkv])\.weight": L + r"0.fn.to_\2.weight",
    r"encoder\.(\d+)\.linear_attention\.o\.weight": L + "0.fn.to_out.weight",
    r"encoder\.(\d+)\.linear_attention\.feature_map\.projection": (
        r"performer/net/layers/\1/0/fn/fast_attention/projection_matrix"
    ),
    r"encoder\.(\d+)\.linear_attention\.pre_norm\.(weight|bias)": L + r"0.norm.\2",
    r"encoder\.(\d+)\.mlp\.pre_norm\.(weight|bias)": L + r"1.norm.\2",
    r"encoder\.(\d+)\.mlp\.up\.(weight|bias)": L + r"1.fn.fn.w1.\2",
    r"encoder\.(\d+)\.mlp\.down\.(weight|bias)": L + r"1.fn.fn.w2.\2",
}
OWN: r.Table = {
    r"decoder\.0\.linear_attention\.([qkvo])\.weight": r"\1.weight",
    r"decoder\.0\.linear_attention\.feature_map\.projection": "projection",
}
SIZES_OF = {"vocab_size": 61, "max_length": 16, "size": 16, "d_model": 24, "n_heads": 3, "d_key": 8, "features": 12,
            "d_ff": 48}  # fmt: skip


def test_model_is_performers(tmp_path: Path) -> None:
    """PerformerLM of performer-pytorch."""
    program = lower(shrunk("performer-protein", {"encoder": [{"repeat": 2, "of": ["main"]}]}, SIZES_OF))
    found = frozen("performer")
    weights = r.renamed(program.parameter_paths(), found.weights, PERFORMER)
    everywhere(program, weights, found.inputs, found.outputs["logits"], tmp_path, steps=False)


def attention(key_max: str, **more: Any) -> Program:
    """The image model's attention alone, over features."""
    document = zoo.read("simple-gla-module")
    op = zoo.read("performer-imagenet64")["stacks"]["decoder"]["blocks"]["main"][0]["op"]
    document["stacks"]["decoder"]["blocks"]["main"][0]["op"] = op | {"n_heads": 2, "d_key": 8} | more
    op["feature_map"] |= {"features": 12, "key_max": key_max}
    return lower(resolve(load_spec(document)))


@pytest.mark.parametrize("key_max", ["sequence", "running"])
def test_causal_attention_is_performers(key_max: str, tmp_path: Path) -> None:
    """FastAttention of performer-pytorch, as published and of every prefix alone; the latter in steps too."""
    program, found = attention(key_max), frozen("performer_causal")
    weights = r.renamed(program.parameter_paths(), found.weights, OWN)
    inputs = {"features": found.inputs["h"]}
    everywhere(program, weights, inputs, found.outputs[key_max], tmp_path, steps=key_max == "running")
    gap = (found.outputs["sequence"] - found.outputs["running"]).abs()
    assert gap[:, :-2].amax() > 0.1  # the future leaks into the published form


@pytest.mark.parametrize("key_max", ["sequence", "running"])
def test_later_tokens(key_max: str) -> None:
    program, h = attention(key_max), frozen("performer_causal").inputs["h"]
    weights = r.renamed(program.parameter_paths(), frozen("performer_causal").weights, OWN)
    before = meaning(program, weights, {"features": h})
    h[:, -1] *= 3
    gap = (meaning(program, weights, {"features": h}) - before).abs()[:, :-1].amax()
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
    """Maxima far apart, over several chunks of the scan."""
    program = attention("running")
    weights = r.renamed(program.parameter_paths(), frozen("performer_causal").weights, OWN)
    h = torch.randn(1, 150, 16, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.1, 4, 150)[:, None]
    expected, model = meaning(program, weights, {"features": h}), torch_model(program, weights, tmp_path)
    near(model(h), expected)
    for sizes in SIZES:
        near(stepped(model, {"features": h}, sizes), expected)
