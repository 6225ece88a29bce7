"""Whole models on ONNX Runtime against the reference interpreter."""

from pathlib import Path

import numpy as np
import pytest

from tests.emit_onnx.models import SPECS, STEPLESS, call, export, ids, open_model, padded, past_of, reference

TOLERANCE = 1e-4  # float32 against float64; the values are of order 1
RUNTIMES = ("ort", "portable")
DECODERS = [name for name in SPECS if name not in STEPLESS]


def close(got: np.ndarray, want: np.ndarray) -> None:
    np.testing.assert_allclose(got, want, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("passes", [False, True], ids=["no passes", "passes"])
@pytest.mark.parametrize("name", SPECS)
def test_equals_the_interpreter_with_padding(name: str, passes: bool, runtime: str, tmp_path: Path) -> None:
    export(name, tmp_path, passes, runtime)
    session = open_model(tmp_path)
    tokens, mask = ids(2, 9), padded(9)
    tokens[mask == 0] = 1  # RoBERTa's padding id
    inputs, shown = {"input_ids": tokens, "attention_mask": mask}, mask
    if name == "encoder and decoder":
        shown = padded(7)
        inputs |= {"decoder_input_ids": ids(2, 7, seed=5), "decoder_attention_mask": shown}
    got = next(iter(call(session, **inputs).values()))
    want = reference(name, **inputs)
    assert got.dtype == np.float32 and np.abs(want).max() > 0.5
    if want.ndim == 2:
        close(got, want)
    else:
        close(got[shown == 1], want[shown == 1])


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("passes", [False, True], ids=["no passes", "passes"])
@pytest.mark.parametrize("name", DECODERS)
def test_steps_equal_the_full_forward(name: str, passes: bool, runtime: str, tmp_path: Path) -> None:
    """Two rows with left padding: a prompt of 5, then token by token."""
    assert export(name, tmp_path, passes, runtime).stepping
    session = open_model(tmp_path)
    tokens, mask = ids(2, 11, seed=1), np.ones((2, 11), np.int64)
    mask[0, :2] = 0
    want = reference(name, input_ids=tokens, attention_mask=mask)
    out = call(session, input_ids=tokens[:, :5], attention_mask=mask[:, :5])
    close(out["logits"][mask[:, :5] == 1], want[:, :5][mask[:, :5] == 1])
    for t in range(5, 11):
        out = call(session, past_of(out), input_ids=tokens[:, t : t + 1], attention_mask=mask[:, : t + 1])
        close(out["logits"][:, 0], want[:, t])
        assert out["present.0.key"].shape[2] == t + 1


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", DECODERS)
def test_a_prompt_in_chunks(name: str, runtime: str, tmp_path: Path) -> None:
    """One row: ONNX Runtime's GroupQueryAttention takes chunks of several tokens for a batch of one only."""
    export(name, tmp_path, passes=True, runtime=runtime)
    session = open_model(tmp_path)
    tokens = ids(1, 12, seed=2)
    want = reference(name, input_ids=tokens)
    past = None
    for start, stop in ((0, 4), (4, 9), (9, 10), (10, 12)):
        mask = np.ones((1, stop), np.int64)
        out = call(session, past, input_ids=tokens[:, start:stop], attention_mask=mask)
        close(out["logits"], want[:, start:stop])
        past = past_of(out)
