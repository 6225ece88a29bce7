"""Hugging Face folders of several families, through `compile` to ONNX, against transformers: whole and step by step."""

from pathlib import Path

import numpy as np
import pytest
import torch

from archspec.interop.source import open_source
from compiler.emit.compile import Options, compile_spec
from tests.emit_onnx.models import call, ids, open_model, padded, past_of
from tests.interop.tiny import CASES

FAMILIES = [
    "llama", "llama3 scaling", "llama linear scaling, biases", "llama yarn, tied", "mistral", "qwen2", "qwen2 full",
    "qwen3", "qwen3 with biases and windows", "gpt2", "gpt2 scaled by layer", "bert", "roberta",
]  # fmt: skip


def close(got: np.ndarray, want: np.ndarray) -> None:
    np.testing.assert_allclose(got, want, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("runtime", ["ort", "portable"])
@pytest.mark.parametrize("name", FAMILIES)
def test_equals_transformers(name: str, runtime: str, tmp_path: Path) -> None:
    theirs = CASES[name].save(tmp_path / "hf")
    options = Options(target="onnx", runtime=runtime, probe=False)
    session = open_model(compile_spec(open_source(tmp_path / "hf"), tmp_path / "out", options).folder)
    stepping = any("past" in given.name for given in session.get_inputs())
    tokens, mask = ids(2, 9, seed=6), padded(9)
    if stepping:
        mask[0, -1] = 1  # padding on the left only: the last logits of a row go on
    if name == "roberta":
        tokens[mask == 0] = theirs.config.pad_token_id
    with torch.no_grad():
        given = {"input_ids": torch.as_tensor(tokens), "attention_mask": torch.as_tensor(mask)}
        if stepping:  # what generate() does for padding on the left
            given["position_ids"] = (given["attention_mask"].cumsum(1) - 1).clamp(min=0)
        want = theirs(**given).logits.numpy()
    got = call(session, input_ids=tokens, attention_mask=mask)["logits"]
    keep = mask == 1
    if name.startswith("gpt2"):
        keep[0] = False  # its positions count slots; transformers was told to count tokens
    close(got[keep], want[keep])
    if not stepping:
        return
    out = call(session, input_ids=tokens[:, :5], attention_mask=mask[:, :5])
    for t in range(5, 9):
        out = call(session, past_of(out), input_ids=tokens[:, t : t + 1], attention_mask=mask[:, : t + 1])
        close(out["logits"][keep[:, t], 0], want[keep[:, t], t])
