"""onnxruntime-genai, a client that we did not write, runs the package as it is."""

import json
from pathlib import Path

import numpy as np
import pytest

from archspec.errors import InputError
from tests.emit_onnx.models import export, ids, reference

og = pytest.importorskip("onnxruntime_genai")

KINDS = [
    "llama", "gpt2", "mistral with window", "qwen2 with biases", "qwen3 with qk norms", "partial rotation", "alibi",
    "odd heads", "counted positions", "relative bias",
]  # fmt: skip
END = 96


def greedy(name: str, prompt: np.ndarray, count: int) -> list[int]:
    """One row, by the reference interpreter, up to the end token."""
    tokens = prompt[None]
    for _ in range(count):
        tokens = np.concatenate([tokens, reference(name, input_ids=tokens)[:, -1:].argmax(-1)], 1)
        if tokens[0, -1] == END:
            break
    return tokens[0].tolist()


def generate(folder: Path, prompts: np.ndarray, count: int) -> list[list[int]]:
    model = og.Model(str(folder))
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=prompts.shape[1] + count, batch_size=len(prompts))
    generator = og.Generator(model, params)
    generator.append_tokens(prompts.astype(np.int32))
    while not generator.is_done():
        generator.generate_next_token()
    return [generator.get_sequence(i).tolist() for i in range(len(prompts))]


def same(got: list[int], want: list[int]) -> bool:
    """Equal up to the end token; what stands behind it in a batch is padding."""
    return got[: len(want)] == want


@pytest.mark.parametrize("passes", [False, True], ids=["no passes", "passes"])
@pytest.mark.parametrize("name", KINDS)
def test_greedy_tokens_equal_the_interpreters(name: str, passes: bool, tmp_path: Path) -> None:
    export(name, tmp_path, passes, "genai", tokens={"eos_token_id": [END], "bos_token_id": 1})
    prompts = ids(2, 6, seed=9)
    want = [greedy(name, row, 16) for row in prompts]
    got = generate(tmp_path, prompts, 16)
    assert all(same(a, b) for a, b in zip(got, want, strict=True)), (got, want)
    assert max(map(len, want)) > 10


@pytest.mark.parametrize("name", ["llama", "gpt2", "counted positions"])
def test_prompts_of_different_lengths_padded_on_the_right(name: str, tmp_path: Path) -> None:
    """The padding id marks padding at the end of a row, as genai's own encode_batch writes it."""
    export(name, tmp_path, True, "genai", tokens={"eos_token_id": [END], "pad_token_id": 0})
    long, short = ids(1, 7, seed=4)[0], ids(1, 4, seed=5)[0]
    prompts = np.stack([long, np.concatenate([short, np.zeros(3, np.int64)])])
    got = generate(tmp_path, prompts, 8)
    assert same(got[0], greedy(name, long, 8))
    want = greedy(name, short, 8)[4:]
    assert same(got[1][7:], want), (got[1], want)


def test_text_after_text(tmp_path: Path) -> None:
    """A second prompt behind a generated token: one chunk over a shared buffer that holds a past.

    genai 0.18 itself leaves the token generated last out of the cache when tokens are appended, whatever the model; so
    it is taken back and given again with the second prompt.
    """
    export("llama", tmp_path, True, "genai", tokens={"eos_token_id": [END]})
    model = og.Model(str(tmp_path))
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=40)
    generator = og.Generator(model, params)
    first, second = ids(1, 5, seed=1)[0], ids(1, 4, seed=2)[0]
    generator.append_tokens(first.astype(np.int32))
    generator.generate_next_token()
    both = np.array([*greedy("llama", first, 1), *second])
    generator.rewind_to(len(first))
    generator.append_tokens(both[len(first) :].astype(np.int32))
    generator.generate_next_token()
    assert generator.get_sequence(0).tolist() == greedy("llama", both, 1)


def test_configuration(tmp_path: Path) -> None:
    emission = export("llama", tmp_path, True, "genai", tokens={"eos_token_id": [3, 4], "bos_token_id": 1})
    assert [file.name for file in emission.files] == ["model.onnx", "model.onnx.data", "genai_config.json"]
    config = json.loads((tmp_path / "genai_config.json").read_text())
    model, inside = config["model"], config["model"]["decoder"]
    assert (model["type"], model["vocab_size"], model["context_length"]) == ("decoder", 97, 64)
    assert (model["eos_token_id"], model["bos_token_id"], model["pad_token_id"]) == ([3, 4], 1, 3)
    assert (inside["num_hidden_layers"], inside["num_attention_heads"], inside["num_key_value_heads"]) == (3, 4, 2)
    assert (inside["head_size"], inside["hidden_size"]) == (16, 64)
    assert config["search"]["past_present_share_buffer"] is True


def test_without_the_fused_operator_no_buffer_is_shared(tmp_path: Path) -> None:
    emission = export("llama", tmp_path, False, "genai")
    config = json.loads((tmp_path / "genai_config.json").read_text())
    assert config["search"]["past_present_share_buffer"] is False
    assert config["model"]["eos_token_id"] == 96
    assert any("96 stands for it" in note for note in emission.notes)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bert", "sees later positions"),
        ("encoder and decoder", "several stacks"),
        ("last row", "reads the last"),
    ],
)
def test_what_cannot_step_is_refused(name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=reason):
        export(name, tmp_path, True, "genai")
    assert not list(tmp_path.iterdir())
