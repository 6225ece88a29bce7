"""States: ring buffers that never grow, windows, biases by distance, misuse refused in words."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from compiler.emit.torch.runtime.attention import attend
from tests.emit_torch.packages import ids, model_of, spec, stepped

WINDOW = {"type": "and", "of": ["causal", {"type": "window", "behind": 5}]}
CHUNKS = [(1,) * 24, (3, 7, 1, 1, 12), (24,), (11, 13), (23, 1)]
STRIDED = {"type": "strided", "stride": 3}
PART = {"type": "rope", "theta": 100, "pairing": "interleaved", "dims": 2, "offset": 1}
BUCKETS = {"type": "log_buckets", "buckets": 8, "max": 16, "sides": 1}
VARIANTS: dict[str, dict[str, Any]] = {
    "window": {"mask": WINDOW},
    "window of one": {"mask": {"type": "and", "of": ["causal", {"type": "window", "behind": 1}]}},
    "blocks": {"mask": {"type": "and", "of": ["causal", {"type": "window", "behind": 2, "block": 3}]}},
    "dilated": {"mask": {"type": "and", "of": ["causal", {"type": "window", "behind": 3, "dilation": 2}]}},
    "segments": {"mask": {"type": "segment", "length": 6, "memory": 4}},
    "strided or self": {"mask": {"type": "or", "of": ["self", {"type": "and", "of": ["causal", STRIDED]}]}},
    "by head": {"mask": {"type": "by_head", "of": ["causal", WINDOW, "causal", WINDOW]}},
    "alibi": {"position": ["alibi"]},
    "alibi and window": {"position": ["alibi"], "mask": WINDOW},
    "relative bias": {"position": [{"type": "relative_bias", "distance": BUCKETS}]},
    "relative bias and window": {"position": [{"type": "relative_bias", "distance": BUCKETS}], "mask": WINDOW},
    "softcap": {"softcap": 2.0},
    "interleaved part": {"position": [PART]},
    "qk norm": {"qk_norm": {"norm": "rms", "scope": "head", "at": "before_position"}},
}  # fmt: skip


@pytest.mark.parametrize("passes", [None, ()], ids=["all passes", "no passes"])
@pytest.mark.parametrize("name", VARIANTS)
def test_steps_equal_the_forward(name: str, passes: Any, tmp_path: Path) -> None:
    model = model_of(spec(attention=VARIANTS[name]), tmp_path / "p", passes=passes)
    tokens = ids(2, 24)
    whole = model(tokens)
    mask = torch.ones_like(tokens)
    mask[0, :7] = 0
    padded = model(tokens, mask)
    for chunks in CHUNKS:
        torch.testing.assert_close(stepped(model, tokens, chunks), whole, atol=1e-4, rtol=1e-4)
        got = stepped(model, tokens, chunks, mask, room=3)
        torch.testing.assert_close(got[mask.bool()], padded[mask.bool()], atol=1e-4, rtol=1e-4)


def test_features_bite(tmp_path: Path) -> None:
    """Each variant changes the outputs, so that the comparison above is not one of equal things."""
    plain = model_of(spec(), tmp_path / "plain")(ids(2, 24))
    for i, (name, fields) in enumerate(VARIANTS.items()):
        other = model_of(spec(attention=fields), tmp_path / str(i))(ids(2, 24))
        assert (other - plain).abs().max() > 1e-2, name


def test_a_ring_buffer_never_grows(tmp_path: Path) -> None:
    model = model_of(spec(attention={"mask": WINDOW}), tmp_path / "p")
    state = model.new_state(1, 1000)
    assert {tuple(t.shape) for layer in state.caches for t in layer} == {(1, 2, 5, 4)}
    storage = [t.data_ptr() for layer in state.caches for t in layer]
    for size in (1, 9, 1, 4, 30):
        _, state = model.step(ids(1, size), state)
    assert [t.data_ptr() for layer in state.caches for t in layer] == storage
    assert {tuple(t.shape) for layer in state.caches for t in layer} == {(1, 2, 5, 4)}


def test_a_cache_is_allocated_once(tmp_path: Path) -> None:
    model = model_of(spec(), tmp_path / "p")
    state = model.new_state(3, 20)
    assert {tuple(t.shape) for layer in state.caches for t in layer} == {(3, 2, 20, 4)}
    storage = [t.data_ptr() for layer in state.caches for t in layer]
    for size in (4, 1, 1, 14):
        _, state = model.step(ids(3, size), state)
    assert [t.data_ptr() for layer in state.caches for t in layer] == storage


def test_a_row_alone_equals_the_row_in_a_padded_batch(tmp_path: Path) -> None:
    """Positions are counted by the mask, so padding on the left changes nothing."""
    counted = spec(stack={"input": {"sum": ["tokens", {"type": "learned", "size": 40}], "positions": "count_mask"}})
    model = model_of(counted, tmp_path / "p")
    short, long = ids(1, 4, seed=1), ids(1, 9, seed=2)
    batch = torch.cat([torch.cat([torch.zeros(1, 5, dtype=torch.long), short], 1), long])
    mask = torch.ones_like(batch)
    mask[0, :5] = 0
    together = model.generate(batch, 8, mask, end_ids=())
    assert torch.equal(together[:1, 9:], model.generate(short, 8, end_ids=())[:, 4:])
    assert torch.equal(together[1:, 9:], model.generate(long, 8, end_ids=())[:, 9:])


def test_a_mask_may_cover_all_tokens_so_far(tmp_path: Path) -> None:
    model = model_of(spec(), tmp_path / "p")
    tokens, mask = ids(2, 10), torch.ones(2, 10, dtype=torch.long)
    mask[1, :3] = 0
    _, state = model.step(tokens[:, :6], model.new_state(2, 10), mask[:, :6])
    logits, _ = model.step(tokens[:, 6:], state, mask)
    expected = model(tokens, mask)[:, 6:]
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_only_the_last_logits(tmp_path: Path) -> None:
    model = model_of(spec(), tmp_path / "p")
    logits, _ = model.step(ids(1, 6), model.new_state(1, 6), last=2)
    torch.testing.assert_close(logits, model(ids(1, 6))[:, -2:], atol=1e-5, rtol=1e-5)


def test_positions_counted_by_ids(tmp_path: Path) -> None:
    """A causal model whose positions skip padding ids counts on in steps."""
    entrance = {
        "sum": ["tokens", {"type": "learned", "size": 40, "offset": 1}],
        "positions": {"type": "count_nonpad", "pad_id": 1},
    }
    model = model_of(spec(stack={"input": entrance}), tmp_path / "p")
    tokens = ids(2, 12)
    tokens[0, :4] = 1
    mask = (tokens != 1).long()
    whole = model(tokens, mask)
    for chunks in ((1,) * 12, (3, 4, 5)):
        got = stepped(model, tokens, chunks, mask)
        torch.testing.assert_close(got[mask.bool()], whole[mask.bool()], atol=1e-4, rtol=1e-4)


def test_misuse_is_refused_in_words(tmp_path: Path) -> None:
    model = model_of(spec(stack={"input": {"sum": ["tokens", {"type": "learned", "size": 30}]}}), tmp_path / "p")
    tokens = ids(2, 5)
    with pytest.raises(ValueError, match="input_ids has 97, allowed are 0 to 96"):
        model(torch.full((1, 2), 97))
    with pytest.raises(ValueError, match="input_ids has -1, allowed"):
        model(torch.full((1, 2), -1))
    with pytest.raises(ValueError, match=r"whole numbers \(batch, tokens\)"):
        model(torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"attention_mask must have shape \(2, 5\)"):
        model(tokens, torch.ones(2, 4))
    with pytest.raises(ValueError, match="batch of 3, found 2 rows"):
        model.step(tokens, model.new_state(3, 9))
    with pytest.raises(ValueError, match="holds 8 tokens: 5 are there, 5 more do not fit"):
        _, state = model.step(tokens, model.new_state(2, 8))
        model.step(tokens, state)
    with pytest.raises(ValueError, match=r"shape \(2, 5\) or \(2, 10\), found \(2, 7\)"):
        _, state = model.step(tokens, model.new_state(2, 20))
        model.step(tokens, state, torch.ones(2, 7))
    with pytest.raises(ValueError, match="a position has 30"):
        model(ids(1, 31))
    with pytest.raises(ValueError, match="at least 1"):
        model.new_state(0, 4)


def test_a_refused_step_leaves_the_state_alone(tmp_path: Path) -> None:
    model = model_of(spec(), tmp_path / "p")
    tokens = ids(1, 6)
    _, state = model.step(tokens[:, :5], model.new_state(1, 6))
    with pytest.raises(ValueError, match="do not fit"):
        model.step(ids(1, 3), state)
    logits, _ = model.step(tokens[:, 5:], state)
    torch.testing.assert_close(logits, model(tokens)[:, 5:], atol=1e-4, rtol=1e-4)


def test_generation(tmp_path: Path) -> None:
    model = model_of(spec(), tmp_path / "p")
    prompt = ids(2, 4)
    greedy = model.generate(prompt, 6)
    assert greedy.shape == (2, 10)
    assert torch.equal(greedy, model.generate(prompt, 6))
    drawn = [model.generate(prompt, 6, temperature=2.0, seed=s) for s in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert torch.equal(model.generate(prompt, 6, temperature=2.0, top_p=1e-6, seed=5), greedy)
    end = int(greedy[0, 4])
    stopped = model.generate(prompt[:1], 6, end_ids=(end,))
    assert stopped.shape == (1, 5) and int(stopped[0, -1]) == end
    both = model.generate(prompt, 6, end_ids=(end,))
    assert set(both[0, 4:].tolist()) == {end}  # an ended row repeats its last id while the other goes on


def test_a_long_prompt_in_blocks_of_queries() -> None:
    """More than 256 new tokens on a CPU are attended to block by block: the same as with one mask over all."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, heads, 600, 8, generator=generator, dtype=torch.float64) for heads in (4, 2, 2))
    hidden = torch.full((600, 600), float("-inf"), dtype=torch.float64).triu(1)
    torch.testing.assert_close(
        attend(q, k, v, None, True, 0.3), attend(q, k, v, hidden, False, 0.3), atol=1e-12, rtol=0
    )


LEARNED = {"sum": ["tokens", {"type": "learned", "size": 48}]}


@pytest.mark.parametrize("stack", [{}, {"input": LEARNED}], ids=["rotation", "learned positions"])
def test_generation_of_a_padded_row_is_that_of_the_row_alone(stack: dict[str, Any], tmp_path: Path) -> None:
    """Padding moves no token: where places are numbered by slot, a prompt's are numbered by its real tokens."""
    position = {"position": []} if stack else {}
    model = model_of(spec(attention=position, stack=stack), tmp_path / "p")
    assert model.by_slot
    tokens, mask = ids(2, 9), torch.ones(2, 9, dtype=torch.long)
    mask[1, :4] = 0
    together = model.generate(tokens, 12, mask, end_ids=())
    assert torch.equal(together[1, 9:], model.generate(tokens[1:, 4:], 12, end_ids=())[0, 5:])
    assert torch.equal(together[0, 9:], model.generate(tokens[:1], 12, end_ids=())[0, 9:])
    places = (mask.cumsum(1) - 1).clamp(min=0)
    told = model.generate(tokens, 12, mask, end_ids=(), position_ids=places)
    assert torch.equal(told, together)


def test_padded_generation_is_gpt2s(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"vocab_size": 97, "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4}
    theirs = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=None, initializer_range=0.4)).eval()
    theirs.save_pretrained(tmp_path / "hf")
    model = model_of(str(tmp_path / "hf"), tmp_path / "p", dtype="fp32")
    tokens, mask = ids(2, 9), torch.ones(2, 9, dtype=torch.long)
    mask[1, :4] = 0
    wanted = theirs.generate(tokens, attention_mask=mask, max_new_tokens=12, do_sample=False, pad_token_id=0)
    assert torch.equal(model.generate(tokens, 12, mask), wanted)
