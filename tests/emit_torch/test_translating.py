"""Two stacks: encoded once, the decoder with and without state, beside the reference interpreter in float64."""

from pathlib import Path
from typing import Any

import pytest
import torch

from archspec.spec import load_spec, resolve
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from tests.emit_torch.exact import drawn, emitted
from tests.emit_torch.packages import ids, model_of

BUCKETS = {"type": "log_buckets", "buckets": 8, "max": 16}


def attention(**fields: Any) -> dict[str, Any]:
    return {"type": "attention", "n_heads": 4, "d_head": 5} | fields


def stack(self_attention: dict[str, Any], crosses: bool, entrance: Any, norm: Any) -> dict[str, Any]:
    main = [{"pre_norm": norm, "op": self_attention}]
    if crosses:
        main.append({"pre_norm": norm, "op": attention(source="encoder", n_kv_heads=2)})
    main.append({"pre_norm": norm, "op": {"type": "mlp", "d_ff": 24, "activation": "relu"}})
    layers = [{"repeat": 2, "of": ["main"]}]
    return {"d_model": 16, "input": entrance, "blocks": {"main": main}, "layers": layers, "final_norm": norm}


def biased() -> dict[str, Any]:
    """A bias by distance, one table for each stack."""

    def bias(sides: int) -> list[Any]:
        return [{"type": "relative_bias", "weights": f"/bias{sides}", "distance": BUCKETS | {"sides": sides}}]

    encoder = attention(position=bias(2), scale=1)
    decoder = attention(position=bias(1), scale=1, mask="causal")
    return {
        "encoder": stack(encoder, False, {"sum": [{"type": "tokens", "weights": "/vocab"}]}, "rms"),
        "decoder": stack(
            decoder, True, {"sum": [{"type": "tokens", "name": "decoder_input_ids", "weights": "/vocab"}]}, "rms"
        ),
    }


def placed() -> dict[str, Any]:
    """Learned positions, biases everywhere, a window in the decoder."""
    window = {"type": "and", "of": ["causal", {"type": "window", "behind": 4}]}
    every = {"bias": ["q", "k", "v", "o"]}
    table = {"type": "learned", "size": 32}
    return {
        "encoder": stack(attention(**every), False, {"sum": ["tokens", table]}, "layer"),
        "decoder": stack(
            attention(mask=window, **every), True,
            {"sum": [{"type": "tokens", "name": "decoder_input_ids"}, table], "positions": "count_mask"}, "layer",
        ),
    }  # fmt: skip


def spec(stacks: dict[str, Any]) -> dict[str, Any]:
    return {
        "archspec": 1,
        "name": "two",
        "vocab_size": 97,
        "max_length": 64,
        "stacks": stacks,
        "head": {"logits": "linear"},
    }


STACKS = {"biased": biased(), "placed": placed()}


@pytest.mark.parametrize("passes", [None, ()], ids=["all passes", "no passes"])
@pytest.mark.parametrize("name", STACKS)
def test_forward_and_steps(name: str, passes: Any, tmp_path: Path) -> None:
    program = lower(resolve(load_spec(spec(STACKS[name]))))
    weights = drawn(program)
    model = emitted(program, weights, tmp_path, passes)
    source, target = ids(2, 11), ids(2, 14, seed=1)
    source_mask, mask = torch.ones_like(source), torch.ones_like(target)
    source_mask[0, 6:] = 0
    mask[1, :3] = 0
    inputs = {
        "input_ids": source, "attention_mask": source_mask, "decoder_input_ids": target, "decoder_attention_mask": mask,
    }  # fmt: skip
    (expected,) = interpret(program, weights, inputs).values()
    got = model(source, source_mask, target, mask)
    real = mask.bool()
    torch.testing.assert_close(got[real], expected[real], atol=1e-9, rtol=1e-9)
    for chunks in ((1,) * 14, (3, 5, 6), (14,)):
        state = model.new_state(2, 14, model.encode(source, source_mask))
        held = [t.data_ptr() for layer in state.held for t in layer]
        out, done = [], 0
        for chunk in chunks:
            at = slice(done, done + chunk)
            logits, state = model.step(target[:, at], state, mask[:, at])
            out.append(logits)
            done += chunk
        torch.testing.assert_close(torch.cat(out, 1)[real], expected[real], atol=1e-9, rtol=1e-9)
        assert held == [t.data_ptr() for layer in state.held for t in layer]


def test_generation(tmp_path: Path) -> None:
    model = model_of(spec(biased()), tmp_path / "p")
    source, start = ids(2, 7), torch.zeros(2, 1, dtype=torch.long)
    made = model.generate(source, 6, decoder_input_ids=start, end_ids=())
    ours = start
    for _ in range(6):
        ours = torch.cat([ours, model(source, decoder_input_ids=ours)[:, -1:].argmax(-1)], 1)
    assert torch.equal(made, ours)


def looking() -> dict[str, Any]:
    """Text that looks at an image, which is a stack without layers."""
    features = {"type": "features", "name": "image", "width": 12}
    sees = {"type": "input", "name": "image_mask_by_token"}
    text = stack(attention(mask="causal"), False, {"sum": ["tokens"]}, "rms")
    look = {"pre_norm": "rms", "op": attention(source="vision", mask=sees), "gate": {"type": "learned", "fn": "tanh"}}
    text["blocks"]["main"].insert(1, look)
    return {"vision": {"d_model": 12, "input": {"name": "image", "sum": [features]}}, "text": text}


def test_generation_beside_an_image(tmp_path: Path) -> None:
    """A new token sees of the image what the last one of the prompt saw."""
    model = model_of(spec(looking()), tmp_path / "p")
    prompt, image = ids(2, 4), torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0))
    sees = torch.zeros(2, 4, 5)
    sees[:, 1:, :2] = sees[1, 3:, 3:] = 1
    made = model.generate(prompt, 5, image=image, image_mask_by_token=sees, end_ids=())
    ours = prompt
    for _ in range(5):
        ours = torch.cat([ours, model(image, input_ids=ours, image_mask_by_token=sees)[:, -1:].argmax(-1)], 1)
        sees = torch.cat([sees, sees[:, -1:]], 1)
    assert torch.equal(made, ours)
    assert not torch.equal(made, model.generate(prompt, 5, image=-image, image_mask_by_token=sees[:, :4], end_ids=()))


def test_rows_joined_to_the_tokens_are_no_step(tmp_path: Path) -> None:
    """Learned rows before the tokens come once, not before the tokens of each step."""
    joined = spec({"decoder": stack(attention(mask="causal"), False, [], "rms")})
    joined["stacks"]["decoder"]["input"] = [
        {"name": "soft", "sum": [{"type": "latents", "count": 3}]}, {"name": "text", "sum": ["tokens"]}
    ]  # fmt: skip
    with pytest.raises(RuntimeError, match="rows of several inputs are joined"):
        model_of(joined, tmp_path / "p").new_state(1, 4)


def test_misuse(tmp_path: Path) -> None:
    model = model_of(spec(biased()), tmp_path / "p")
    with pytest.raises(ValueError, match="decoder_input_ids is missing"):
        model(ids(1, 4))
    with pytest.raises(ValueError, match="decoder_input_ids are missing"):
        model.generate(ids(1, 4), 3)
    with pytest.raises(ValueError, match="what encode"):
        model.new_state(1, 4)
    with pytest.raises(ValueError, match=r"part 0 of what encode\(...\) gave must have shape \(2, 5, 16\), found \(1"):
        model.new_state(2, 4, model.encode(ids(1, 5)))
