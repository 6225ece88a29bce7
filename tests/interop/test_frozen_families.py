"""Families that transformers has dropped, in folders made of frozen fixtures (see `tests/parity/frozen`)."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from archspec.errors import InputError
from archspec.interop.huggingface import export_config
from archspec.interop.source import open_source
from archspec.spec import load_spec, resolve
from archspec.spec.canonical import canonical
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from compiler.weights import load, open_weights
from tests.parity.targets import frozen
from tests.parity.test_segments import SEGMENTS

TRANSFO_XL = {
    "model_type": "transfo-xl", "architectures": ["TransfoXLLMHeadModel"], "vocab_size": 60, "cutoffs": [20, 40],
    "d_model": 32, "d_embed": 32, "n_head": 4, "d_head": 8, "d_inner": 48, "n_layer": 2, "mem_len": 12, "clamp_len": 10,
    "same_length": True, "div_val": 2, "tie_projs": [False, True, True],
}  # fmt: skip


def folder_of(fields: dict[str, Any], weights: dict[str, Tensor], folder: Path) -> Path:
    (folder / "config.json").write_text(json.dumps(fields, indent=2) + "\n")
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / "model.safetensors")
    return folder


def computed(folder: Path, inputs: dict[str, Tensor], **changes: Any) -> Tensor:
    """What the folder's spec computes in float64; `changes` are fields of its attention."""
    source = open_source(folder)
    document = json.loads(json.dumps(source.spec._document))
    next(iter(document["stacks"].values()))["blocks"]["main"][0]["op"].update(changes)
    program = lower(resolve(load_spec(document)))
    shapes = {path: param.shape for path, param in program.parameter_paths().items()}
    assert source.tensors is not None and set(shapes) == set(source.tensors.recipes)
    weights = load(shapes, source.tensors, open_weights(folder), torch.float64)
    return next(iter(interpret(program, weights, inputs).values()))


def test_transformer_xl_with_a_memory_of_fixed_reach(tmp_path: Path) -> None:
    given = frozen("transformer_xl_hf")
    folder = folder_of(TRANSFO_XL, given.weights, tmp_path)
    found = computed(folder, given.inputs)
    torch.testing.assert_close(found, given.outputs["same_length"].double(), atol=1e-4, rtol=1e-4)


def test_transformer_xl_with_clusters_of_one_width(tmp_path: Path) -> None:
    """The fixture's memory grows within a segment, so the mask is put in its place."""
    given = frozen("transformer_xl_hf_one_width")
    folder = folder_of(TRANSFO_XL | {"div_val": 1}, given.weights, tmp_path)
    found = computed(folder, given.inputs, mask=SEGMENTS)
    torch.testing.assert_close(found, given.outputs["clusters"].double(), atol=1e-4, rtol=1e-4)


BERT = {
    "model_type": "bert", "architectures": ["BertForMaskedLM"], "vocab_size": 61, "hidden_size": 24,
    "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40, "max_position_embeddings": 16,
    "position_embedding_type": "relative_key_query",
}  # fmt: skip


def test_bert_over_distances(tmp_path: Path) -> None:
    given = frozen("bert_relative")
    folder = folder_of(BERT, given.weights, tmp_path)
    inputs = {name: given.inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    found, real = computed(folder, inputs), given.inputs["attention_mask"].bool()
    torch.testing.assert_close(found[real], given.outputs["logits"][real].double(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("fields", [TRANSFO_XL, BERT, BERT | {"position_embedding_type": "relative_key"}])
def test_it_comes_back(fields: dict[str, Any], tmp_path: Path) -> None:
    folder = folder_of(fields, {}, tmp_path)
    spec = open_source(folder).spec
    assert export_config(spec) == (folder / "config.json").read_text()
    document = dict(spec._document)
    document.pop("origin")
    (tmp_path / "config.json").write_text(export_config(load_spec(document)))
    assert canonical(open_source(tmp_path).spec) == canonical(spec)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == fields["model_type"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"same_length": False}, "/same_length.*changes the computation"),
        ({"pre_lnorm": True}, "/pre_lnorm.*changes the computation"),
        ({"cutoffs": [40, 20]}, "/cutoffs: found"),
        ({"cutoffs": [20, 60]}, "/cutoffs: found"),
        ({"tie_projs": [True, True, True]}, "/tie_projs.*changes the computation"),
        ({"d_embed": 16}, "/d_embed.*changes the computation"),
        ({"surprise": 1}, "/surprise.*is not understood"),
    ],
)
def test_what_changes_the_computation_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(TRANSFO_XL | change))
    with pytest.raises(InputError, match=message):
        open_source(tmp_path)
