"""Native sparse attention in every form that the language has: both targets mean what the spec means, in one and in
steps; what a state holds and a step reads; causality; padding."""

from pathlib import Path
from typing import Any

import pytest
import torch

from archspec.spec import load_spec, resolve
from compiler.cost.report import cost
from compiler.ir.program import Program
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from tests.emit_onnx.exact import check as check_onnx
from tests.emit_torch.exact import check, compiled_steps, drawn, emitted
from tests.emit_torch.packages import ids, model_of
from tests.emit_torch.packages import spec as written

OP: dict[str, Any] = {
    "type": "compress_select_attention", "n_heads": 4, "n_kv_heads": 2,
    "compress": {"block": 4, "stride": 2, "hidden": 12, "learned_keys": 1},
    "select": {"block": 4, "count": 2, "share": "kv_group"}, "window": {"type": "window", "behind": 5},
    "gate": {"type": "projected", "of": "head", "bias": True}, "position": [{"type": "rope", "theta": 100}],
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "each head selects": {"select": {"block": 4, "count": 1}, "n_kv_heads": 4},
    "no learned keys": {"compress": {"block": 6, "stride": 3, "activation": "identity"},
                        "select": {"block": 6, "count": 2}},
    "blocks of one": {"compress": {"block": 1, "stride": 1}, "select": {"block": 3, "count": 2}},
    "all blocks selected": {"compress": {"block": 8, "stride": 4, "activation": "gelu", "learned_keys": 2},
                            "select": {"block": 8, "count": 99, "share": "kv_group"}},
    "gate by channel": {"gate": {"type": "projected", "of": "channel", "rank": 3, "fn": "silu"}},
    "temperature": {"position": [{"type": "rope", "theta": 100}, {"type": "temperature", "floor": 4, "scale": 0.1}]},
    "no position": {"position": []},
    "values turned": {"position": [{"type": "rope", "theta": 100, "rotates": ["q", "k", "v"]}]},
}  # fmt: skip


def decoder(**changes: Any) -> Program:
    """Two layers with a head, `changes` in the op."""
    mlp = {"pre_norm": "rms", "op": {"type": "mlp", "d_ff": 24, "activation": "silu"}}
    return lower(resolve(load_spec(written(blocks={"main": [{"pre_norm": "rms", "op": OP | changes}, mlp]}))))


@pytest.mark.parametrize("passes", [None, ()], ids=["all passes", "no passes"])
@pytest.mark.parametrize("name", VARIANTS)
def test_torch_in_one_and_in_steps(name: str, passes: Any, tmp_path: Path) -> None:
    """To 1e-9 in float64, padding on the left too: long enough that a step reads the selected keys alone."""
    check(decoder(**VARIANTS[name]), ids(2, 61), tmp_path, passes)


@pytest.mark.parametrize("runtime", ["ort", "portable"])
@pytest.mark.parametrize("name", VARIANTS)
def test_onnx_in_one_and_in_steps(name: str, runtime: str, tmp_path: Path) -> None:
    program = decoder(**VARIANTS[name])
    assert check_onnx(program, drawn(program), ids(2, 19), tmp_path, runtime=runtime).stepping


@pytest.mark.parametrize("length", [1, 3])
def test_onnx_before_the_first_block(length: int, tmp_path: Path) -> None:
    program = decoder(**VARIANTS["no learned keys"])
    check_onnx(program, drawn(program), ids(2, length), tmp_path, cuts=())


def test_a_long_prompt_in_parts(tmp_path: Path) -> None:
    check(decoder(), ids(2, 300), tmp_path)


def test_a_step_is_compiled_once(tmp_path: Path) -> None:
    program = decoder()
    compiled_steps(emitted(program, drawn(program), tmp_path), ids(2, 20))


def test_features_bite() -> None:
    """No variant means the same as the plain one."""
    tokens = {"input_ids": ids(2, 40)}
    found = []
    for changes in VARIANTS.values():
        program = decoder(**changes)
        found.append(next(iter(interpret(program, drawn(program), tokens).values())))
    assert all((other - found[0]).abs().max() > 1e-3 for other in found[1:])


def test_what_comes_later_changes_nothing_before() -> None:
    program, tokens = decoder(), ids(1, 40)
    weights = drawn(program)
    (before,) = interpret(program, weights, {"input_ids": tokens}).values()
    for place in (39, 17, 12, 7):
        other = tokens.clone()
        other[0, place] = 3
        (after,) = interpret(program, weights, {"input_ids": other}).values()
        torch.testing.assert_close(after[:, :place], before[:, :place], atol=1e-12, rtol=0)
        assert (after[:, place] - before[:, place]).abs().max() > 1e-3


def test_padding_of_whole_blocks_on_the_left_is_no_token() -> None:
    """A row behind as much padding as is whole blocks equals the row alone: turned by as much, blocks cut alike."""
    program, tokens = decoder(), ids(1, 27)
    weights = drawn(program)
    (alone,) = interpret(program, weights, {"input_ids": tokens}).values()
    for pad in (4, 12):
        row = torch.cat([ids(1, pad, seed=5), tokens], 1)
        mask = (torch.arange(pad + 27) >= pad).long()[None]
        (padded,) = interpret(program, weights, {"input_ids": row, "attention_mask": mask}).values()
        torch.testing.assert_close(padded[:, pad:], alone, atol=1e-12, rtol=0)


def test_state_is_as_declared(tmp_path: Path) -> None:
    """All keys, one compressed key for each stride, a ring of near keys: as many bytes as the cost model says."""
    document = written(blocks={"main": [{"pre_norm": "rms", "op": OP}]}, precision={"cache": "fp32"})
    model = model_of(document, tmp_path / "p")
    for length in (3, 40, 41):
        state = model.new_state(1, length)
        held = sum(t.numel() * t.element_size() for layer in state.caches for t in layer)
        assert cost(resolve(load_spec(document)), context=length).cache.at_context == held
    shapes = [tuple(t.shape) for t in state.caches[0]]
    assert shapes == [(1, 2, 21, 4), (1, 2, 3, 4)] * 2 + [(1, 2, 41, 4)] * 2 + [(1, 2, 5, 4)] * 2


def test_a_step_reads_what_it_selects() -> None:
    """Bytes of a decode step: of all keys only the selected ones and the own block, whatever the context."""

    def read(context: int, count: int) -> int:
        op = OP | {"select": {"block": 4, "count": count, "share": "kv_group"}}
        spec = resolve(load_spec(written(blocks={"main": [{"pre_norm": "rms", "op": op}]})))
        return cost(spec, context=context).speed.decode_bytes or 0

    layers, row = 2, 2 * 2 * 4 * 2  # keys and values of 2 heads of 4, bf16
    assert read(4000, 5) - read(4000, 2) == layers * row * 3 * 4
    # What grows: compressed keys and values, handed on and read; importance for both key heads, so too, in fp32; the
    # key mask, which five operators of a layer read, and the one that counts positions.
    compressed, importance, mask = 2 * 2 * (2 * 4 * 2) // 2, 2 * 2 * 4 // 4, 8
    assert read(4400, 2) - read(4000, 2) == 400 * (layers * (compressed + importance + 5 * mask) + mask)
