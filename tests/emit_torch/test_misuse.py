"""Whatever a caller gives that does not fit is refused, and the error says what was expected; nothing changes then."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from compiler.emit.torch.file import write_model
from compiler.lower.program import lower
from tests.emit_torch.exact import drawn, emitted
from tests.emit_torch.packages import ids, model_of, spec
from tests.zoo.tiny import inputs, tiny

torch.set_num_threads(1)
MARKS = {"type": "prefix"}
PREFIX = {"type": "or", "of": ["causal", {"type": "keys", "of": MARKS}]}
LEARNED = {"input": {"sum": ["tokens", {"type": "token_types", "size": 2}, {"type": "learned", "size": 30}]}}


def ones(*shape: int) -> torch.Tensor:
    return torch.ones(shape, dtype=torch.long)


def told(model: Any, message: str, *given: Any, **named: Any) -> None:
    with pytest.raises(ValueError, match=message):
        model(*given, **named)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return model_of(spec(stack=LEARNED), tmp_path_factory.mktemp("decoder") / "p")


def test_ids(decoder: Any) -> None:
    told(decoder, "input_ids has 97, allowed are 0 to 96", torch.full((1, 2), 97))
    told(decoder, "input_ids has -1, allowed are 0 to 96", torch.full((1, 2), -1))
    whole = r"input_ids must be whole numbers \(batch, tokens\), found "
    told(decoder, whole + r"torch.float32 \(1, 2\)", torch.zeros(1, 2))
    told(decoder, whole + r"torch.bool \(1, 2\)", torch.zeros(1, 2, dtype=torch.bool))
    told(decoder, whole + r"torch.int64 \(2,\)", ones(2))
    told(decoder, whole + r"torch.int64 \(2, 0\)", ones(2, 0))
    told(decoder, whole + r"torch.int64 \(0, 2\)", ones(0, 2))
    told(decoder, "input_ids is missing: whole numbers", None)
    told(decoder, r"input_ids must be a tensor of whole numbers \(batch, tokens\), found a list", [[1, 2]])
    assert decoder(ids(1, 3).int()).shape == (1, 3, 97)


def test_token_types(decoder: Any) -> None:
    tokens = ids(2, 5)
    told(decoder, "token_type_ids has 2, allowed are 0 to 1", tokens, token_type_ids=torch.full((2, 5), 2))
    told(decoder, r"token_type_ids must have shape \(2, 5\), found \(2, 4\)", tokens, token_type_ids=ones(2, 4))
    told(decoder, r"token_type_ids must be whole numbers", tokens, token_type_ids=torch.zeros(2, 5))


def test_positions(decoder: Any) -> None:
    tokens = ids(2, 5)
    told(decoder, "a position has 30, allowed are 0 to 29", ids(1, 31))
    told(decoder, "a position has 30, allowed are 0 to 29", tokens, position_ids=torch.full((2, 5), 30))
    told(decoder, r"position_ids must be whole numbers \(2, 5\), found torch.int64 \(2, 4\)", tokens,
         position_ids=ones(2, 4))  # fmt: skip
    told(decoder, r"position_ids must be whole numbers \(2, 5\), found torch.int64 \(3, 5\)", tokens,
         position_ids=ones(3, 5))  # fmt: skip
    told(decoder, r"position_ids must be whole numbers \(2, 5\), found torch.float32", tokens,
         position_ids=torch.zeros(2, 5))  # fmt: skip
    assert decoder(tokens, position_ids=ones(1, 5)).shape == (2, 5, 97)


def test_masks_of_padding(decoder: Any) -> None:
    tokens = ids(2, 5)
    for shape in ((2, 4), (1, 5), (5,), (2, 1, 1, 5)):
        told(decoder, r"attention_mask must have shape \(2, 5\), found ", tokens, torch.ones(shape))
    told(
        decoder, "attention_mask must hold 1 at tokens and 0 at padding", tokens, torch.tensor([[0.0] * 4 + [-1e9]] * 2)
    )
    state = decoder.step(tokens, decoder.new_state(2, 20))[1]
    with pytest.raises(ValueError, match=r"shape \(2, 5\) or \(2, 10\), found \(2, 7\)"):
        decoder.step(tokens, state, torch.ones(2, 7))


def test_states(decoder: Any, tmp_path: Path) -> None:
    tokens = ids(2, 5)
    for message, state in (
        ("batch of 3, found 2 rows", decoder.new_state(3, 9)),
        ("holds 4 tokens: 0 are there, 5 more do not fit", decoder.new_state(2, 4)),
        (r"a state is what new_state\(...\) gives, found NoneType", None),
        (r"made by another model: make one with new_state\(...\)", model_of(spec(), tmp_path / "p").new_state(2, 9)),
    ):
        with pytest.raises(ValueError, match=message):
            decoder.step(tokens, state)
    for batch, length in ((0, 4), (2, 0), (-1, 4)):
        with pytest.raises(ValueError, match=f"at least 1, found {batch} and {length}"):
            decoder.new_state(batch, length)
    with pytest.raises(ValueError, match="last must be at least 1, found 0"):
        decoder.step(tokens, decoder.new_state(2, 9), last=0)


def test_a_refused_step_changes_nothing(decoder: Any) -> None:
    """Whatever is wrong with it: the state goes on as if the step had not been asked for."""
    tokens, mask = ids(2, 8), ones(2, 8)
    mask[0, :2] = 0
    expected = decoder(tokens, mask)
    _, state = decoder.step(tokens[:, :5], decoder.new_state(2, 8), mask[:, :5])
    for wrong in (
        {"input_ids": tokens[:1, 5:]}, {"input_ids": tokens}, {"input_ids": tokens[:, 5:] + 97},
        {"input_ids": tokens[:, 5:], "attention_mask": ones(2, 2)},
        {"input_ids": tokens[:, 5:], "attention_mask": torch.zeros(2, 3), "position_ids": torch.full((2, 3), 99)},
        {"input_ids": tokens[:, 5:], "token_type_ids": ones(2, 9)},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            decoder.step(state=state, **wrong)
    logits, _ = decoder.step(tokens[:, 5:], state)
    torch.testing.assert_close(logits, expected[:, 5:], atol=1e-4, rtol=1e-4)


def test_generation(decoder: Any) -> None:
    for message, how in (
        ("max_new_tokens must be at least 0, found -1", {"max_new_tokens": -1}),
        ("temperature must be at least 0", {"max_new_tokens": 2, "temperature": -0.5}),
        ("top_p must be above 0 and at most 1, found 0", {"max_new_tokens": 2, "temperature": 1.0, "top_p": 0}),
        (r"attention_mask must have shape", {"max_new_tokens": 2, "attention_mask": ones(2, 4)}),
        ("a position has 30", {"max_new_tokens": 40}),
    ):
        with pytest.raises(ValueError, match=message):
            decoder.generate(ids(2, 5), **how)
    with pytest.raises(ValueError, match=r"input_ids must be a tensor .* found list"):
        decoder.generate([[1, 2]], 2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'speed'"):
        decoder.generate(ids(2, 5), 2, speed=3)
    assert decoder.generate(ids(2, 5), 0).shape == (2, 5)


def test_prefix(tmp_path: Path) -> None:
    model, tokens = model_of(spec(attention={"mask": PREFIX}), tmp_path / "p"), ids(2, 5)
    told(model, r"prefix must have shape \(2, 5\), found \(2, 4\)", tokens, prefix=ones(2, 4))
    _, state = model.step(tokens, model.new_state(2, 9), prefix=ones(2, 5))
    with pytest.raises(ValueError, match="must come with the first step, 5 tokens are there already"):
        model.step(tokens[:, :1], state, prefix=ones(2, 1))


def small(name: str, folder: Path) -> tuple[Any, dict[str, Any]]:
    """A model of the zoo made small, in float64, and inputs that fit."""
    program = lower(tiny(name))
    return emitted(program, drawn(program), folder), dict(inputs(program))


# Spec of the zoo, input -> what is done to it, what is said.
Change = Callable[[Any], Any]
CASES: list[tuple[str, str, Change, str]] = [
    ("t5-base", "input_ids", lambda x: x + 97, "input_ids has .*, allowed are 0 to 96"),
    ("t5-base", "decoder_input_ids", lambda x: x + 97, "decoder_input_ids has .*, allowed are 0 to 96"),
    ("t5-base", "decoder_input_ids", lambda x: None, "decoder_input_ids is missing"),
    ("t5-base", "decoder_input_ids", lambda x: x[:1], r"decoder_input_ids must have shape \(2, 12\), found \(1, 12\)"),
    ("t5-base", "attention_mask", lambda x: x[:, :3], "attention_mask must have shape"),
    ("t5-base", "decoder_attention_mask", lambda x: x[:, :3], "decoder_attention_mask must have shape"),
    ("blip2-qformer", "encoder_hidden_states", lambda x: x[..., :9], r"must have shape \(2, \d+, 48\), found .* 9\)"),
    ("blip2-qformer", "encoder_hidden_states", lambda x: x[0], "encoder_hidden_states must have shape"),
    ("blip2-qformer", "encoder_hidden_states", lambda x: x[:, :0], "encoder_hidden_states must have shape"),
    ("blip2-qformer", "encoder_hidden_states", lambda x: x.float(), "must hold torch.float64, found torch.float32"),
    ("blip2-qformer", "encoder_hidden_states", lambda x: x.long(), "must hold torch.float64, found torch.int64"),
    ("blip2-qformer", "encoder_hidden_states", lambda x: None, "encoder_hidden_states is missing"),
    ("blip2-qformer", "encoder_hidden_states_mask", lambda x: x[:, :2], "encoder_hidden_states_mask must have shape"),
    ("idefics-9b", "pixel_values", lambda x: x[:, :1], r"pixel_values must have shape \(2, 3, 8, 8\)"),
    ("idefics-9b", "pixel_values", lambda x: x[..., :4], r"pixel_values must have shape \(2, 3, 8, 8\)"),
    ("idefics-9b", "pixel_values", lambda x: x[:1], r"input_ids must have shape \(1, 12\), found \(2, 12\)"),
    ("idefics-9b", "image_attention_mask", lambda x: x[..., :4], r"image_attention_mask must have shape \(2, 12, 5\)"),
    ("idefics-9b", "image_attention_mask", lambda x: x[:, :4], r"image_attention_mask must have shape \(2, 12, 5\)"),
    ("idefics-9b", "image_attention_mask", lambda x: None, "image_attention_mask is missing"),
    ("llama-3.2-11b-vision-text", "cross_attention_mask", lambda x: x[..., :4], r"must have shape \(2, 12, \d\)"),
    ("llama-3.2-11b-vision-text", "cross_attention_states", lambda x: x[:, :2], "states_mask must have shape"),
    ("flamingo-module", "media_locations", lambda x: x[:, :4], r"media_locations must have shape \(2, 12\)"),
    ("flamingo-module", "media_index", lambda x: x[:, :4], r"media_index must have shape \(2, 5\)"),
    ("flamingo-module", "media_index", lambda x: x[:1], r"media_index must have shape \(2, 5\)"),
    ("longformer-base-4096", "global_attention_mask", lambda x: x[:, :4], "global_attention_mask must have shape"),
    ("longllama-3b", "memory_6_keys", lambda x: x[:, :, :, :4], r"memory_6_keys must have shape \(2, 4, \d, 8\)"),
    ("longllama-3b", "memory_6_values", lambda x: x[:, :, :2], r"memory_6_values must have shape \(2, 4, \d, 8\)"),
    ("longllama-3b", "memory_6_values", lambda x: x.float(), "memory_6_values must hold torch.float64"),
    ("xlnet-base", "perm_mask", lambda x: x[:, :4], r"perm_mask must have shape \(2, 12, 12\), found \(2, 4, 12\)"),
    ("xlnet-base", "target_mapping", lambda x: x[..., :4], r"target_mapping must have shape \(2, \d, 12\)"),
    ("chatglm-6b", "position_ids", lambda x: None, r"position_ids must be whole numbers \(2, 12\)"),
    ("chatglm-6b", "block_position_ids", lambda x: x[:, :4], r"block_position_ids must have shape \(2, 12\)"),
    ("transformer-xl-wt103", "input_ids", lambda x: x + 97, "input_ids has .*, allowed are 0 to 96"),
    ("bert-base", "token_type_ids", lambda x: x + 2, "token_type_ids has 3, allowed are 0 to 1"),
    ("axial-attention-module", "features", lambda x: x[0], "features must have shape"),
    ("linformer-base", "position_ids", lambda x: ones(2, 12) * 64, "a position has 64, allowed are 0 to 63"),
    ("reformer-enwik8", "position_ids", lambda x: ones(2, 12) * 64, "a position has 64, allowed are 0 to 63"),
    ("w2v-bert-2.0", "input_features", lambda x: x[..., :4], r"input_features must have shape \(2, 12, 24\)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "which", "change", "message"), CASES, ids=lambda x: x if isinstance(x, str) else "")
def test_inputs_of_every_kind(name: str, which: str, change: Change, message: str, tmp_path: Path) -> None:
    model, given = small(name, tmp_path)
    given[which] = change(given.get(which))
    told(model, message, **given)


def test_lengths_that_are_fixed(tmp_path: Path) -> None:
    """A map along the sequence, and a grid of positions."""
    told(small("linformer-base", tmp_path / "a")[0], "the model takes 12 tokens, found 24", ids(1, 24))
    told(small("reformer-enwik8", tmp_path / "b")[0], "a position has 64, allowed are 0 to 63", ids(1, 65))


def test_required_inputs_are_named(tmp_path: Path) -> None:
    model, given = small("llama-3.2-11b-vision-text", tmp_path)
    for name in ("cross_attention_states", "cross_attention_mask"):
        with pytest.raises(TypeError, match=f"missing 1 required .*argument: '{name}'"):
            model(**{other: x for other, x in given.items() if other != name})
    told(model, "input_ids is missing", **{other: x for other, x in given.items() if other != "input_ids"})


def test_sources_of_another_model(tmp_path: Path) -> None:
    model, given = small("llama-3.2-11b-vision-text", tmp_path / "a")
    encoded = model.encode(given["cross_attention_states"])
    for message, wrong in (
        (r"what encode\(...\) gave for a batch of 2", ()),
        (r"what encode\(...\) gave for a batch of 2", encoded[:1]),
        (r"part 0 of what encode\(...\) gave must have shape \(2, \d, 32\)", (encoded[0][..., :7], encoded[1])),
        (r"part 0 of what encode\(...\) gave must have shape \(2, \d, 32\)", (encoded[0][:1], encoded[1])),
    ):
        with pytest.raises(ValueError, match=message):
            model.new_state(2, 12, wrong)


def test_what_cannot_step_says_so(tmp_path: Path) -> None:
    model, _ = small("bert-base", tmp_path)
    for call in (model.new_state, model.step, model.generate, model.stream):
        with pytest.raises(RuntimeError, match=r"cannot run step by step: .*attention: .* sees later positions"):
            call(ids(1, 4), 3)


def test_one_check_of_ids_a_call() -> None:
    """The values of ids are looked at once: a step of one token must not pay for more."""
    text = write_model(lower(tiny("llama-3-8b")))
    assert text.count("check_ids(") == 2  # its definition and one call
    assert "check_shape" not in text
