"""Random specs and weights, whatever passes run: the same outputs to 1e-9 in float64, large activations too."""

import json

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archspec.spec import load_spec, resolve
from compiler import pipeline
from compiler.ir.check import ABSENT, check
from compiler.ir.program import Program
from compiler.ir.text import dump, parse
from compiler.lower.program import lower
from compiler.ops import get
from compiler.verify.compare import compare, difference
from compiler.verify.interpreter import interpret
from compiler.verify.pack import pack
from compiler.weights.init import init_weights
from tests.lower.specs import specs

torch.set_num_threads(1)
NAMES = tuple(p.name for p in pipeline.PASSES)
SUBSETS = st.sampled_from([NAMES, (), *((n,) for n in NAMES), *(tuple(m for m in NAMES if m != n) for n in NAMES)])
RANDOM = st.lists(st.sampled_from(NAMES), unique=True).map(tuple)
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def drawn(spec: dict, scale: float) -> tuple[Program, dict, dict]:
    """The lowered program, its random weights (embeddings times `scale`) and ids with left padding."""
    program = lower(resolve(load_spec(json.loads(json.dumps(spec)))))
    params = init_weights({path: p.shape for path, p in program.parameter_paths().items()}, 0, torch.float64)
    params = {path: scale * p if path.startswith(("vocab", "decoder.text")) else p for path, p in params.items()}
    ids = torch.randint(0, 11, (2, 7), generator=torch.Generator().manual_seed(3))
    mask = torch.ones(2, 7, dtype=torch.long)
    mask[1, :2] = 0
    return program, params, {"input_ids": ids, "attention_mask": mask}


@few
@given(specs(), SUBSETS | RANDOM, st.sampled_from([1.0, 1000.0]))
def test_any_passes_keep_the_outputs(spec, names, scale):
    program, params, inputs = drawn(spec, scale)
    after, records = pipeline.run(program, names)
    assert [r.name for r in records] == [n for n in NAMES if n in names]
    keep = inputs["attention_mask"].bool()
    want, got = interpret(program, params, inputs), interpret(after, pack(after, params), inputs)
    assert max(difference(got[name], want[name], keep).relative for name in want) < 1e-9


@few
@given(specs())
def test_all_passes_reach_a_fixed_point_and_account_for_every_candidate(spec):
    program = lower(resolve(load_spec(spec)))
    after, records = pipeline.run(program)
    _, again = pipeline.run(after)
    assert not any(record.modified for record in again)
    assert all(r.expected == r.matched + sum(x.calls for x in r.refused) for r in records)
    counts = program.counts()
    attentions = sum(counts[g.name] for g in program.blocks.values() for n in g.nodes if n.op == "attention")
    assert {r.name: r.expected for r in records}["grouped_query"] == attentions
    assert parse(dump(after)) == after == check(after)


@few
@given(specs())
def test_passes_change_neither_flops_nor_state_nor_causality(spec):
    program = lower(resolve(load_spec(spec)))
    after, _ = pipeline.run(program)
    assert totals(after) == totals(program)


@settings(max_examples=10, deadline=None)
@given(specs())
def test_errors_pass_by_pass(spec):
    program, params, inputs = drawn(spec, 1.0)
    found = compare(program, params, inputs, pipeline.PASSES)
    assert [p.name for p in found.passes] == list(NAMES) and found.first_above is None


def totals(program: Program) -> tuple:
    """FLOPs, cached shapes and reasons against stepping, over all layers."""
    env = {"B": 2, "S": 3, "T": 9}
    counts = program.counts() | {program.main.name: 1}
    dense = exact = 0
    state, ahead = [], set()
    for graph in program.graphs():
        for node in graph.nodes:
            if node.op == "repeat":
                continue
            op, inputs = get(node.op), [graph.types[v] if v else ABSENT for v in node.inputs]
            flops = op.flops(inputs, node.attrs, env)
            dense += counts[graph.name] * flops.dense
            exact += counts[graph.name] * flops.exact
            caches = [t for t in op.state(inputs, node.attrs) if t.kind != "constant"]  # unread counts may go
            state += [(graph.name, *map(str, (t.name, t.shape, t.kind, t.limit))) for t in caches]
            ahead.add(op.lookahead(node.attrs))
    return dense, exact, sorted(state), ahead
