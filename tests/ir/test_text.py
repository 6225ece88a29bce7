"""Print, parse, print is the identity; and what was parsed is what was printed."""

import json

import pytest
from hypothesis import given, settings

from archspec.spec import load_spec, resolve
from compiler.ir.check import check
from compiler.ir.graph import GraphError
from compiler.ir.text import dump, parse, parse_graph
from compiler.lower.program import lower
from tests.ir.made import programs
from tests.lower.specs import specs

TINY = """program tiny {"optional": {"mask": "ones"}, "meta": {"d_model": 4}}
param {decoder}.q.weight [4, 4] linear
param vocab.weight [7, 4] embedding
recipe {decoder}.q.weight {"type": "concat", "parts": ["a", "b"], "axis": 0}

block decoder(x: float[B, S, 4]) {
  q = linear(x) {"width": 4} <weight={decoder}.q.weight>  # float[B, S, 4]
  return q
}

graph main(ids: int[B, S]) {
  x = embedding(ids) {"rows": 7, "width": 4} <weight=vocab.weight>  # float[B, S, 4]
  y = repeat(x) {"calls": [["decoder", "decoder", 0, 2]]} <>  # float[B, S, 4]
  return y
}
"""


def test_tiny():
    program = parse(TINY)
    assert dump(program) == TINY
    assert list(program.parameter_paths()) == ["vocab.weight", "decoder.0.q.weight", "decoder.1.q.weight"]


@settings(max_examples=100, deadline=None)
@given(programs())
def test_any_program(program):
    text = dump(program)
    again = parse(text)
    assert again == check(program)
    assert dump(again) == text


@settings(max_examples=25, deadline=None)
@given(specs())
def test_lowered_specs(spec):
    program = lower(resolve(load_spec(json.loads(json.dumps(spec)))))
    assert parse(dump(program)) == program


def test_absent_inputs_and_a_value_called_underscore():
    graph = parse_graph('graph main("_": float[B, 4]) {\n  y = add("_", _) {} <>\n  return y\n}')
    assert graph.nodes[0].inputs == ("_", "")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("program tiny", "programme tiny", "line 1"),
        ("[7, 4] embedding", "[7, 4 embedding", "line 3"),
        ("q = linear(x)", "q = linear x", "line 7"),
        ('{"width": 4}', '{"width": 4', "line 7"),
        ("  return q\n}", "", "line 10: wanted '='"),
        ("graph main", "block main", "no main graph"),
    ],
)
def test_what_cannot_be_read_is_named(old, new, line):
    with pytest.raises(GraphError, match=line):
        parse(TINY.replace(old, new))
