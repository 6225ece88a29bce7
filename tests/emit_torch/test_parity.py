"""Folders that transformers saved, compiled: the same logits, with padding, in steps, with all passes and with none.

Tolerance 1e-4 in float32: different orders of summation differ by up to 4e-5 on these models.
"""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.emit_torch.packages import ids, model_of, stepped
from tests.interop.tiny import CASES

TWO_STACKS = [name for name, case in CASES.items() if case.role == "pair"]
ENCODERS = [name for name, case in CASES.items() if case.role == "encoder"]
DECODERS = [name for name, case in CASES.items() if case.role == "decoder"]
# transformers zeroes padding before the input projection only: with a bias there, the convolution reads the bias of
# padded rows, and a padded batch differs from its rows alone; its RWKV reads no mask at all. Ours hides padding, so
# these are compared with rows alone.
LEAKING = [
    name for name in DECODERS if (name.startswith(("mamba", "jamba")) and "biases" in name) or name.startswith("rwkv")
]


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


class Pair:
    """The model of transformers, and ours made from its folder."""

    def __init__(self, name: str, passes: tuple[str, ...] | None, folder: Path) -> None:
        self.leaks = name in LEAKING
        self.more = CASES[name].more
        self.theirs = CASES[name].save(folder / "hf")
        self.ours = model_of(folder / "hf", folder / "package", passes=passes)
        self.tokens = ids(2, 17)

    @torch.no_grad()
    def logits(self, **inputs: Any) -> tuple[Tensor, Tensor]:
        inputs |= self.more(self.tokens)
        ours = self.ours(self.tokens, **inputs)
        if not self.leaks or "attention_mask" not in inputs:
            return ours, self.theirs(input_ids=self.tokens, **inputs).logits
        theirs = torch.zeros_like(ours)
        for tokens, real, out in zip(self.tokens, inputs["attention_mask"].bool(), theirs, strict=True):
            out[real] = self.theirs(input_ids=tokens[real][None]).logits[0]
        return ours, theirs


@pytest.fixture(scope="module", params=[None, ()], ids=["all passes", "no passes"])
def passes(request: pytest.FixtureRequest) -> tuple[str, ...] | None:
    return request.param


@pytest.fixture(scope="module", params=DECODERS)
def decoder(request: pytest.FixtureRequest, passes: tuple[str, ...] | None, tmp_path_factory: Any) -> Pair:
    return Pair(request.param, passes, tmp_path_factory.mktemp("decoder"))


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request: pytest.FixtureRequest, passes: tuple[str, ...] | None, tmp_path_factory: Any) -> Pair:
    return Pair(request.param, passes, tmp_path_factory.mktemp("encoder"))


def padding(left: bool) -> Tensor:
    mask = torch.ones(2, 17, dtype=torch.long)
    mask[0, :6] = 0
    return mask if left else mask.flip(1)


def test_decoder_logits(decoder: Pair) -> None:
    close(*decoder.logits())


@pytest.mark.parametrize("left", [True, False])
def test_decoder_logits_with_padding(decoder: Pair, left: bool) -> None:
    mask = padding(left)
    ours, theirs = decoder.logits(attention_mask=mask)
    close(ours[mask.bool()], theirs[mask.bool()])


def test_given_positions(decoder: Pair) -> None:
    """Positions that a caller counts past left padding, as generation does."""
    mask = padding(left=True)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    if "position_ids" not in inspect.signature(decoder.ours.forward).parameters:
        pytest.skip("nothing in it reads positions")
    ours, theirs = decoder.logits(attention_mask=mask, position_ids=positions)
    close(ours[mask.bool()], theirs[mask.bool()])


@pytest.mark.parametrize("chunks", [(1,) * 17, (5, 1, 3, 2, 6), (17,), (2, 15), (16, 1)], ids=str)
def test_steps_equal_the_forward(decoder: Pair, chunks: tuple[int, ...]) -> None:
    _, theirs = decoder.logits()
    close(stepped(decoder.ours, decoder.tokens, chunks), theirs)
    close(stepped(decoder.ours, decoder.tokens, chunks, room=9), theirs)


@pytest.mark.parametrize("chunks", [(1,) * 17, (4, 5, 1, 7), (8, 9)], ids=str)
def test_padded_batch_in_steps(decoder: Pair, chunks: tuple[int, ...]) -> None:
    mask = padding(left=True)
    _, theirs = decoder.logits(attention_mask=mask)
    ours = stepped(decoder.ours, decoder.tokens, chunks, mask)
    close(ours[mask.bool()], theirs[mask.bool()])


def test_greedy_tokens(decoder: Pair) -> None:
    prompt = decoder.tokens[:, :5]
    ours = decoder.ours.generate(prompt, 20, end_ids=())
    theirs = prompt
    with torch.no_grad():
        for _ in range(20):
            theirs = torch.cat([theirs, self_next(decoder.theirs, theirs)], 1)
    assert torch.equal(ours, theirs)


def self_next(model: Any, tokens: Tensor) -> Tensor:
    return model(input_ids=tokens).logits[:, -1:].argmax(-1)


def test_encoder_outputs(encoder: Pair) -> None:
    close(*encoder.logits())


@pytest.mark.parametrize("left", [True, False])
def test_encoder_outputs_with_padding(encoder: Pair, left: bool) -> None:
    mask = padding(left)
    encoder.tokens = torch.where(mask.bool(), ids(2, 17), 1)  # RoBERTa finds padding by its id, 1
    ours, theirs = encoder.logits(attention_mask=mask)
    encoder.tokens = ids(2, 17)
    close(ours[mask.bool()], theirs[mask.bool()])


def test_token_types(tmp_path: Path) -> None:
    pair = Pair("bert", None, tmp_path)
    types = (torch.arange(17) > 8).long().expand(2, -1).contiguous()
    close(*pair.logits(token_type_ids=types))


@pytest.mark.parametrize("name", TWO_STACKS)
@torch.no_grad()
def test_two_stacks(name: str, passes: tuple[str, ...] | None, tmp_path: Path) -> None:
    """A padded source, and the target all at once and in steps."""
    theirs = CASES[name].save(tmp_path / "hf")
    ours = model_of(tmp_path / "hf", tmp_path / "package", passes=passes)
    source, target, mask = ids(2, 17), ids(2, 9), padding(left=False)
    expected = theirs(input_ids=source, attention_mask=mask, decoder_input_ids=target).logits
    close(ours(input_ids=source, attention_mask=mask, decoder_input_ids=target), expected)
    state = ours.new_state(2, 9, ours.encode(source, mask))
    parts = []
    for chunk in target.split((4, 1, 3, 1), 1):
        logits, state = ours.step(chunk, state)
        parts.append(logits)
    close(torch.cat(parts, 1), expected)


def test_an_encoder_refuses_to_step(encoder: Pair) -> None:
    with pytest.raises(RuntimeError, match=r"step by step: .*(attention with the mask '|what is counted from)"):
        encoder.ours.new_state(1, 4)
