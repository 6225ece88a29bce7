"""Attention in levels against h-transformer-1d 0.1.9 (frozen), and its packages."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from archspec.errors import InputError
from archspec.spec import Resolved, load_spec, resolve
from compiler.cost.report import cost
from compiler.ir.program import Program
from compiler.ir.types import TensorType
from compiler.lower.program import lower
from compiler.ops.context import Context
from compiler.ops.hierarchical_attention.meaning import run
from compiler.ops.hierarchical_attention.shape import OP, padded
from tests.emit_onnx.exact import check as check_onnx
from tests.emit_onnx.exact import emitted
from tests.emit_torch.exact import check, drawn
from tests.emit_torch.packages import ids
from tests.emit_torch.packages import spec as written
from tests.parity.targets import everywhere, frozen
from tests.zoo import renaming as r
from tests.zoo.shrink import shrunk

REAL = {16: 14, 32: 30, 64: 61}  # of the second sequence, as in `make_hierarchical`
SIZES = {"vocab_size": 31, "max_length": 64, "d_model": 24, "n_heads": 3, "d_head": 8, "d_ff": 96,
         "block": {128: 4}}  # fmt: skip
L = r"encoder\.(\d)\."
THEIRS = r"layers.layers.\1."


def projected(stored: r.Stored, match: Any) -> Tensor:
    return stored[match.expand(THEIRS + "0.fn.to_qkv.weight")].chunk(3)["qkv".index(match[2])]


TABLE: r.Table = {
    r"encoder\.text\.tokens\.weight": "token_emb.weight",
    r"encoder\.final_norm\.(weight|bias)": r"to_logits.0.\1",
    r"head\.logits\.(weight|bias)": r"to_logits.1.\1",
    L + r"hierarchical_attention\.pre_norm\.(weight|bias)": THEIRS + r"0.norm.\2",
    L + r"hierarchical_attention\.([qkv])\.weight": projected,
    L + r"hierarchical_attention\.o\.(weight|bias)": THEIRS + r"0.fn.to_out.\2",
    L + r"mlp\.pre_norm\.(weight|bias)": THEIRS + r"1.norm.\2",
    L + r"mlp\.up\.(weight|bias)": THEIRS + r"1.fn.net.0.\2",
    L + r"mlp\.down\.(weight|bias)": THEIRS + r"1.fn.net.2.\2",
}


def zoo() -> Resolved:
    return shrunk("h-transformer-1d", {"encoder": [{"repeat": 2, "of": ["main"]}]}, SIZES)


def case() -> tuple[Program, dict[str, Tensor]]:
    program = lower(zoo())
    found = r.renamed(program.parameter_paths(), frozen("hierarchical").weights, TABLE)
    return program, {path: weight.contiguous() for path, weight in found.items()}


@pytest.mark.parametrize("form", ["whole", "padded", "short"])
@pytest.mark.parametrize("rows", REAL)
def test_is_the_package(rows: int, form: str, tmp_path: Path) -> None:
    program, weights = case()
    given = frozen("hierarchical")
    inputs, valid = {"input_ids": given.inputs["tokens"][:, : rows - 3 * (form == "short")]}, None
    if form == "padded":
        valid = torch.arange(rows) < torch.tensor([[rows], [REAL[rows]]])
        inputs["attention_mask"] = valid.long()
    everywhere(program, weights, inputs, given.outputs[f"{form}_{rows}"], tmp_path, steps=False, valid=valid)


def test_cost_is_the_packages() -> None:
    """All parameters but the eight rotary frequencies, which are no weights here; every matrix product."""
    given, length = frozen("hierarchical"), 64
    report = cost(zoo(), context=length, batch=2)
    assert report.parameters.total == report.parameters.stored == sum(x.numel() for x in given.weights.values())
    assert report.flops.prefill == int(given.outputs["flops"])


@pytest.mark.parametrize("coarsest", [2, 4])
@pytest.mark.parametrize("length", [1, 5, 16, 23, 37, 64])
def test_exact_operations_are_counted_pair_by_pair(length: int, coarsest: int) -> None:
    """Rows of each level that stand for a token, beside those that they look at."""
    shape, (b, h, d, block) = (2, 3, "S", 8), (2, 3, 8, 4)
    type_ = TensorType("float", ("B", *shape[1:]))
    attrs = {"block": block, "coarsest": coarsest, "scale": 1.0}
    found = OP.flops([type_] * 3, attrs, {"B": b, "S": length, "T": length})
    real, pairs, first = torch.arange(padded(length, attrs)) < length, 0, True
    while True:
        blocks = real.view(-1, block)
        own = blocks[:, :, None] & blocks[:, None]
        other = blocks[:, :, None] & blocks.view(-1, 2, block).flip(1).view(-1, 1, block)
        pairs += int(other.sum()) + (int(own.sum()) if first else 0)
        if len(blocks) == coarsest:
            break
        real, first = real.view(-1, 2).any(1), False
    assert found.exact == 4 * b * h * d * pairs
    assert found.dense >= found.exact


ALL = torch.empty(0)  # no mask: nothing is padding
FIELDS = {"block": 4, "coarsest": 4, "scale": 0.4, "eps": 0.0}


def core(length: int, **attrs: Any) -> Any:
    """Attention in levels of drawn queries and keys, as a function of the values."""
    q, k = (torch.randn(1, 2, length, 8, generator=torch.Generator().manual_seed(i)).double() for i in (0, 1))
    return q, k, lambda v, mask=ALL: run([q, k, v, mask], {}, FIELDS | attrs, Context())[0]


def test_a_sequence_of_one_block_is_plain_attention() -> None:
    q, k, levels = core(13, block=16)
    v = torch.randn(1, 2, 13, 8).double()
    torch.testing.assert_close(levels(v), F.scaled_dot_product_attention(q, k, v, scale=0.4), atol=1e-12, rtol=0)


@pytest.mark.parametrize("coarsest", [2, 4])
def test_who_sees_whom(coarsest: int) -> None:
    """With 2 blocks left every token reads every token; with 4 the halves of the sequence do not meet."""
    length = 32
    _, _, levels = core(length, coarsest=coarsest)
    v = torch.zeros(1, 2, length, 8, dtype=torch.float64)
    reads = torch.zeros(length, length, dtype=torch.bool)
    for j in range(length):
        marked = v.clone()
        marked[:, :, j] = 1
        reads[:, j] = levels(marked)[0, 0, :, 0] > 0
    half = torch.arange(length) < length // 2
    expected = torch.ones_like(reads) if coarsest == 2 else half[:, None] == half
    assert torch.equal(reads, expected)


def test_padding_counts_nothing() -> None:
    """Where a row's whole neighbour is padding too, which the package counts in its weights: rows of the same levels,
    padded more or less, with anything at padding."""
    mask = (torch.arange(32) < 19).long()[None]
    _, _, levels = core(32, coarsest=2)
    values = torch.randn(1, 2, 32, 8).double()
    expected = levels(values, mask)[:, :, :19]
    loud = torch.where(mask[:, None, :, None].bool(), values, 1e6)
    torch.testing.assert_close(levels(loud, mask)[:, :, :19], expected, atol=1e-12, rtol=0)
    q, k, _ = core(32)
    alone = run([x[:, :, :19] for x in (q, k, values)] + [ALL], {}, {**FIELDS, "coarsest": 2}, Context())[0]
    torch.testing.assert_close(alone, expected, atol=1e-12, rtol=0)


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"block": 4},
    "two blocks left, biases": {"block": 6, "coarsest": 2, "bias": ["q", "k", "v", "o"]},
    "values turned": {"block": 2, "position": [{"type": "rope", "theta": 100, "rotates": ["q", "k", "v"]}]},
    "one block": {"block": 64},
}


@pytest.mark.parametrize("passes", [None, ()], ids=["all passes", "no passes"])
@pytest.mark.parametrize("name", VARIANTS)
def test_torch_means_what_the_spec_means(name: str, passes: Any, tmp_path: Path) -> None:
    op = {"type": "hierarchical_attention", "n_heads": 4} | VARIANTS[name]
    program = lower(resolve(load_spec(written(blocks={"main": [{"pre_norm": "rms", "op": op}]}))))
    model = check(program, ids(2, 41), tmp_path, passes)
    with pytest.raises(RuntimeError, match="averaged over groups"):
        model.step(ids(2, 1), None)


@pytest.mark.parametrize("length", [1, 13, 41, 64])
@pytest.mark.parametrize("name", VARIANTS)
def test_onnx_means_what_the_spec_means(name: str, length: int, tmp_path: Path) -> None:
    """Sequences that reach some of the levels, and the longest one."""
    op = {"type": "hierarchical_attention", "n_heads": 4} | VARIANTS[name]
    program = lower(resolve(load_spec(written(blocks={"main": [{"pre_norm": "rms", "op": op}]}))))
    check_onnx(program, drawn(program), ids(2, length), tmp_path)


def test_a_causal_form_is_refused() -> None:
    op = {"type": "hierarchical_attention", "n_heads": 4, "block": 4, "mask": "causal"}
    with pytest.raises(InputError, match="a coarser query is the mean of a group, later tokens included"):
        resolve(load_spec(written(blocks={"main": [{"op": op}]})))


def test_onnx_needs_to_know_the_longest_sequence(tmp_path: Path) -> None:
    op = {"type": "hierarchical_attention", "n_heads": 4, "block": 4}
    program = lower(resolve(load_spec(written(blocks={"main": [{"op": op}]}, max_length=None))))
    with pytest.raises(InputError, match=r"hierarchical_attention.*has no max_length"):
        emitted(program, drawn(program), tmp_path)
