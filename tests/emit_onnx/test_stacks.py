"""Models with source stacks: what runs once and what steps, in files of their own beside the whole."""

from pathlib import Path

import onnx
import pytest
import torch

from archspec.spec import load_spec, resolve
from compiler.emit.onnx.stacks import DECODER_FILE, ENCODER_FILE, divide
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from tests.emit_onnx.exact import close, emitted
from tests.emit_onnx.models import draw, encoder_decoder, export, ids, open_model, padded, program_of

NAME = "encoder and decoder"


def given() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Two rows with padding in both stacks, and the real rows of the output."""
    mask = torch.as_tensor(padded(7))
    inputs = {"input_ids": ids(2, 9), "attention_mask": padded(9), "decoder_input_ids": ids(2, 7, seed=5)}
    return {name: torch.as_tensor(x) for name, x in inputs.items()} | {"decoder_attention_mask": mask}, mask.bool()


@pytest.mark.parametrize("runtime", ["ort", "portable"])
@pytest.mark.parametrize("passes", [(), None], ids=["no passes", "passes"])
def test_steps_over_a_source_encoded_once(passes: tuple[str, ...] | None, runtime: str, tmp_path: Path) -> None:
    program, (inputs, real) = program_of(NAME), given()
    weights = draw(program)
    package, emission = emitted(program, weights, tmp_path, passes, runtime)
    assert emission.stepping and emission.no_step is None and package.steps(inputs)
    (want,) = interpret(program, weights, inputs).values()
    close(package.forward(inputs)[real], want[real])
    for cuts in ((1, 2, 3, 4, 5, 6), (4, 5)):
        close(package.stepped(inputs, cuts)[real], want[real])
    del inputs["attention_mask"]  # the whole source is real
    (want,) = interpret(program, weights, inputs).values()
    close(package.stepped(inputs, (2, 3))[real], want[real])


def test_what_the_files_take_and_give(tmp_path: Path) -> None:
    emission = export(NAME, tmp_path, passes=True)
    assert [path.name for path in emission.files] == ["model.onnx", "model.onnx.data", ENCODER_FILE, DECODER_FILE]
    encoder, decoder = (open_model(tmp_path, name) for name in (ENCODER_FILE, DECODER_FILE))
    caches = [f"{layer}.{role}" for layer in (0, 1) for role in ("key", "value")]
    held = [f"decoder.{layer}.attention_2.{role}.heads" for layer in (0, 1) for role in "kv"]
    shapes = {x.name: x.shape for x in encoder.get_outputs()}
    assert shapes == {name: ["batch", 4, "length_encoder", 16] for name in held}  # once, not at each step
    assert [x.name for x in encoder.get_inputs()] == ["input_ids", "attention_mask"]
    assert [x.name for x in decoder.get_inputs()] == [
        "decoder_input_ids", "decoder_attention_mask", "attention_mask", *held,
        *(f"past_key_values.{cache}" for cache in caches),
    ]  # fmt: skip
    assert [x.name for x in decoder.get_outputs()] == ["logits", *(f"present.{cache}" for cache in caches)]


def test_no_weight_is_stored_twice(tmp_path: Path) -> None:
    export(NAME, tmp_path, passes=True)
    stored: dict[str, tuple[str, ...]] = {}
    for name in ("model.onnx", ENCODER_FILE, DECODER_FILE):
        for tensor in onnx.load(tmp_path / name, load_external_data=False).graph.initializer:
            at = tuple(f"{entry.key}={entry.value}" for entry in tensor.external_data if entry.key != "checksum")
            assert at or len(tensor.raw_data) <= 1024, (name, tensor.name)
            if at:
                assert "location=model.onnx.data" in at
                assert stored.setdefault(tensor.name, at) == at


def test_a_program_with_one_stack_is_not_divided() -> None:
    assert divide(program_of("llama")) is None


def test_a_source_seen_by_the_number_of_the_row_takes_no_steps(tmp_path: Path) -> None:
    """A window over the source stands where the last row sees the last key: it would move from step to step."""
    document = encoder_decoder()
    cross = document["stacks"]["decoder"]["blocks"]["main"][1]["op"]
    cross["mask"] = {"type": "window", "behind": 3, "ahead": 2}
    program = lower(resolve(load_spec(document)))
    _, emission = emitted(program, draw(program), tmp_path)
    assert not emission.stepping and not (tmp_path / DECODER_FILE).exists()
    assert emission.no_step is not None and "which is last is not known" in emission.no_step
