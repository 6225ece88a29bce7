"""Native sparse attention against native-sparse-attention-pytorch 0.2.3 (frozen), and its torch package."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from archspec import zoo
from archspec.spec import Resolved, load_spec, resolve
from compiler.cost.report import cost
from compiler.ir.program import Program
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from tests.emit_onnx.exact import check as check_onnx
from tests.emit_torch.exact import check, compiled_steps, drawn, emitted
from tests.emit_torch.packages import ids, model_of
from tests.emit_torch.packages import spec as written
from tests.parity.targets import everywhere, frozen
from tests.zoo import renaming as r

torch.set_num_threads(1)
LENGTHS = (32, 21, 3)
NAMES = ("nsa", "nsa_by_head", "nsa_equal")


def spec(name: str) -> Resolved:
    """The zoo's module, or one of the other two of `make_nsa`."""
    document = zoo.read("nsa-module")
    branch = document["stacks"]["decoder"]["blocks"]["main"][0]
    changes: dict[str, Any] = {
        "nsa": {},
        "nsa_by_head": {
            "d_head": 6, "compress": {"block": 4, "hidden": 24, "learned_keys": 2},
            "select": {"block": 8, "count": 1}, "window": {"type": "window", "behind": 4},
        },
        "nsa_equal": {
            "n_kv_heads": 4, "d_head": 6, "compress": {"block": 6, "stride": 3, "learned_keys": 1},
            "select": {"block": 3, "count": 3, "share": "kv_group"}, "window": {"type": "window", "behind": 3},
        },
    }[name]  # fmt: skip
    branch["op"] |= changes
    if changes:
        stack = document["stacks"]["decoder"]
        stack["d_model"] = stack["input"]["sum"][0]["width"] = 24
    return resolve(load_spec(document))


def table(heads: int, kv_heads: int) -> r.Table:
    """Where the package keeps our tensors: one projection for q, k, v; gates by head, then by kind of key."""

    def projected(stored: r.Stored, match: Any) -> Tensor:
        rows = stored["to_qkv.weight"].unflatten(0, (heads + 2 * kv_heads, -1))
        start = {"q": 0, "k": heads, "v": heads + kv_heads}[match[1]]
        return rows[start : start + (heads if match[1] == "q" else kv_heads)].flatten(0, 1)

    def gate(stored: r.Stored, match: Any) -> Tensor:
        kinds = stored[f"to_strategy_combine.0.{match[2]}"].unflatten(0, (heads, 3))
        return kinds[:, ("compressed", "selected", "near").index(match[1])]

    at = r"decoder\.0\.compress_select_attention\."
    layers = {"up": "1", "down": "3"}
    return {
        at + r"pre_norm\.weight": "norm.weight",
        at + r"([qkv])\.weight": projected,
        at + r"o\.weight": "combine_heads.weight",
        at + r"compress\.([kv])\.positions\.weight": r"\1_intrablock_positions",
        at + r"learned\.([kv])\.weight": lambda stored, match: stored["compress_mem_kv"]["kv".index(match[1])],
        at + r"gate\.(\w+)\.(weight|bias)": gate,
        **{at + rf"compress\.([kv])\.{ours}\.(weight|bias)": rf"\1_compress.{theirs}.\2"
           for ours, theirs in layers.items()},
    }  # fmt: skip


def case(name: str) -> tuple[Program, dict[str, Tensor]]:
    program = lower(spec(name))
    found = r.renamed(program.parameter_paths(), frozen(name).weights, table(4, 4 if name == "nsa_equal" else 2))
    return program, {path: weight.contiguous() for path, weight in found.items()}


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", NAMES)
def test_is_the_package(name: str, length: int, tmp_path: Path) -> None:
    program, weights = case(name)
    given = frozen(name)
    inputs = {"inp": given.inputs["x"][:, :length].contiguous()}
    everywhere(program, weights, inputs, given.outputs[str(length)], tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_cost_is_the_packages(name: str) -> None:
    """All parameters but the four rotary frequencies, which are no weights here. Matrix products to the last one: less
    the near keys, which the package reads in blocks; more its sum of three kinds, which it writes as a product, and the
    queries that it adds to fill the last block."""
    given, length = frozen(name), 32
    report = cost(spec(name), context=length, batch=2)
    assert report.parameters.total == report.parameters.stored == sum(x.numel() for x in given.weights.values())
    (program, _), (window, block, count) = case(name), {"nsa": (4, 4, 2), "nsa_by_head": (3, 8, 1),
                                                        "nsa_equal": (2, 3, 3)}[name]  # fmt: skip
    heads, d_head = 4, 8 if name == "nsa" else 6
    pair, rows = 4 * 2 * heads * d_head, -(-length // window) * window
    theirs = pair * (rows * 2 * window + (-length % block) * (count + 1) * block) + 2 * 2 * heads * length * 3 * d_head
    assert int(given.outputs["flops"]) == report.flops.prefill - pair * length**2 + theirs
    # Visible pairs, counted query by query.
    attrs = {node.op: node.attrs for node in program.blocks["decoder"].nodes}
    stride, learned = attrs["block_attention"]["stride"], attrs["block_attention"]["learned"]
    dense = length * (length // stride + learned + (count + 1) * block + length)
    exact = sum(i // stride + learned + min(count, i // block) * block + i % block + 1 + min(i, window) + 1
                for i in range(length))  # fmt: skip
    assert report.flops.prefill - report.flops.prefill_exact == pair * (dense - exact)
    step = cost(spec(name), context=length).flops.decode_exact
    assert step == cost(spec(name), context=length).flops.prefill_exact - _prefill(name, length - 1)


def _prefill(name: str, length: int) -> int:
    return cost(spec(name), context=length).flops.prefill_exact


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
