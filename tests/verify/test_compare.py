"""Errors pass by pass: a pass that changes the meaning is found, and named."""

from dataclasses import dataclass, replace

import pytest
import torch

from compiler import pipeline
from compiler.passes.record import PassRecord
from compiler.verify.compare import compare, difference, real_positions
from compiler.verify.interpreter import interpret
from compiler.verify.pack import pack
from tests.verify.tiny import inputs_of, program_of, weights_of

INF = float("inf")


@dataclass(frozen=True)
class Wrong:
    """Doubles the first sum of every block: what a broken pass would do."""

    name: str = "wrong"
    right: float = 2.0

    def __call__(self, program):
        (block,) = program.blocks.values()
        node = next(n for n in block.nodes if n.op == "add")
        nodes = tuple(n.with_(attrs={**n.attrs, "right": self.right}) if n is node else n for n in block.nodes)
        changed = replace(block, nodes=nodes, checked=None)
        return program.with_graphs({block.name: changed}), PassRecord(self.name, 1, 1, modified=True)


def test_real_passes_change_nothing():
    program = program_of()
    found = compare(program, weights_of(program), inputs_of(), pipeline.PASSES)
    assert found.first_above is None
    assert {p.name for p in found.passes if p.modified} >= {"qkv_packing", "gate_up_packing", "grouped_query"}
    assert all(p.since_start.relative < 1e-9 for p in found.passes)


@pytest.mark.parametrize("right", [2.0, 1.0 + 1e-6])
def test_a_wrong_pass_is_named(right):
    program = program_of()
    passes = (pipeline.PASSES[0], Wrong(right=right), *pipeline.PASSES[1:])
    found = compare(program, weights_of(program), inputs_of(), passes)
    assert found.first_above == "wrong"
    assert found.passes[0].since_start.absolute == 0


def test_difference():
    a = torch.tensor([[1.0, 200.0]])
    assert difference(a, a + torch.tensor([[0.5, 2.0]])).absolute == 2
    assert difference(a + torch.tensor([[0.5, 2.0]]), a).relative == 0.5
    assert difference(a, a.mT).absolute == INF
    nan, inf = torch.full((1, 2), float("nan")), torch.full((1, 2), INF)
    assert difference(nan, a).absolute == difference(a, nan).absolute == difference(inf, a).absolute == INF
    assert difference(inf, inf).absolute == 0
    assert difference(a, a[:, :0]).absolute == INF and difference(a[:, :0], a[:, :0]).absolute == 0


def test_padding_is_not_compared():
    program, inputs = program_of(), inputs_of()
    keep = real_positions(program, inputs)
    assert keep is not None and keep.dtype == torch.bool and not keep[0, :2].any() and keep[1].all()
    got, want = torch.zeros(2, 6, 3), torch.zeros(2, 6, 3)
    got[0, 0] = 9
    assert difference(got, want, keep).absolute == 0 and difference(got, want).absolute == 9


def test_pack_makes_what_the_rewritten_program_reads():
    program = program_of()
    weights = weights_of(program)
    after, _ = pipeline.run(program)
    packed = pack(after, weights)
    assert list(packed) == list(after.parameter_paths())
    assert {path: tuple(t.shape) for path, t in packed.items()} == {
        path: param.shape for path, param in after.parameter_paths().items()
    }
    parts = [weights[f"decoder.1.attention.{role}.weight"] for role in "qkv"]
    assert torch.equal(packed["decoder.1.attention.qkv.weight"], torch.cat(parts))
    with pytest.raises(KeyError, match=r"decoder\.0\.attention\.k\.weight"):
        pack(after, {k: v for k, v in weights.items() if k != "decoder.0.attention.k.weight"})


def test_the_interpreter_fills_in_optional_inputs_and_names_missing_ones():
    program = program_of()
    inputs = {"input_ids": inputs_of()["input_ids"]}
    ones = {**inputs, "attention_mask": torch.ones(2, 6)}
    (a,), (b,) = (
        interpret(program, weights_of(program), inputs).values(),
        interpret(program, weights_of(program), ones).values(),
    )
    assert torch.equal(a, b)
    with pytest.raises(ValueError, match="input_ids"):
        interpret(program, weights_of(program), {})
