"""Graphs as text for the tests of passes, and whether two of them mean the same."""

import textwrap

import torch

from compiler import ops
from compiler.ir.check import ABSENT, check
from compiler.ir.program import Param, Program
from compiler.ir.text import node_text, parse_graph
from compiler.ir.types import size
from compiler.passes.record import PassRecord
from compiler.verify.compare import difference
from compiler.verify.interpreter import interpret
from compiler.verify.pack import pack
from compiler.weights.init import init_weights

torch.set_num_threads(1)
SIZES = {"B": 2, "S": 5, "T": 5}
DEFAULT = "x: float[B, S, 8]"


def program(body: str, inputs: str = DEFAULT, kinds: dict[str, str] | None = None) -> Program:
    """A checked program with the lines of `body` as its main graph; parameters are declared as the operators say."""
    graph = parse_graph(f"graph main({inputs}) {{\n{textwrap.indent(textwrap.dedent(body).strip(), '  ')}\n}}")
    types = dict(graph.inputs)
    params: dict[str, Param] = {}
    for node in graph.nodes:
        op, given = ops.get(node.op), [types[v] if v else ABSENT for v in node.inputs]
        for role, shape in op.params(given, node.attrs).items():
            path = node.params[role]
            params[path] = Param(shape, (kinds or {}).get(path, "linear"))
        types.update(zip(node.outputs, op.infer(given, node.attrs), strict=True))
    return check(Program("test", graph, {}, params))


def lines(given: Program) -> str:
    """The main graph's nodes and outputs, without types."""
    nodes = [node_text(node) for node in given.main.nodes]
    return "\n".join([*nodes, f"return {', '.join(given.main.outputs)}"])


def text(body: str) -> str:
    return textwrap.dedent(body).strip()


def same_meaning(before: Program, after: Program, scale: float = 30.0) -> float:
    """Largest relative difference of the outputs in float64, on random weights and inputs of deviation `scale`."""
    shapes = {path: param.shape for path, param in before.parameter_paths().items()}
    params = init_weights(shapes, 0, torch.float64)
    generator = torch.Generator().manual_seed(1)
    inputs = {}
    for name, type_ in before.main.inputs.items():
        shape = [size(dim, SIZES) for dim in type_.shape]
        if type_.dtype == "float":
            inputs[name] = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
        else:
            inputs[name] = torch.ones(shape, dtype=torch.long).cumsum(-1) - 1 if name != "mask" else torch.ones(shape)
    want = interpret(before, params, inputs)
    got = interpret(after, pack(after, params), inputs)
    assert list(got) == list(want)
    return max(difference(got[name], want[name]).relative for name in want)


def applied(one, before: Program, original: Program | None = None) -> tuple[Program, PassRecord]:
    """A pass applied once, with what must always hold: a well-formed result, the same meaning, nothing left to do.

    original: the unrewritten program, where `before` has been rewritten already.
    """
    after, record = one(before)
    check(after)
    assert record.name == one.name
    assert record.modified == (record.matched > 0)
    assert record.expected == record.matched + sum(refusal.calls for refusal in record.refused)
    again, second = one(after)
    assert not second.modified and again is after
    if record.modified:
        assert same_meaning(original or before, after) < 1e-9
        assert set(after.params) == {path for node in after.main.nodes for path in node.params.values()}
    else:
        assert after is before
    return after, record


def rewritten(one, body: str, inputs: str = DEFAULT) -> str:
    """The text after a pass that must match."""
    after, record = applied(one, program(body, inputs))
    assert record.modified
    return lines(after)


def refused(one, body: str, inputs: str = DEFAULT, kinds: dict[str, str] | None = None) -> list[str]:
    """The reasons of a pass that must leave the graph alone."""
    _, record = applied(one, program(body, inputs, kinds))
    assert not record.modified
    return [refusal.reason for refusal in record.refused]


__all__ = ["applied", "lines", "program", "refused", "rewritten", "same_meaning", "text"]
