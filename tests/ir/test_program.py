"""Paths, calls and runs; the graph's questions."""

from hypothesis import given
from hypothesis import strategies as st

from archspec.interop.recipe import Concat, Stored
from compiler.ir.dag import dag
from compiler.ir.graph import Node
from compiler.ir.program import Call, block_runs, calls, fill, runs
from compiler.ir.text import parse
from tests.ir.test_text import TINY

PREFIXES = st.sampled_from(
    ["decoder.0", "decoder.1", "decoder.2", "decoder.10", "shared", "a.b", "encoder.0", "7", "a.07"]
)


@given(st.lists(st.builds(Call, st.sampled_from("ab"), PREFIXES), max_size=12))
def test_runs_expand_to_the_calls_they_were_made_from(layers):
    node = Node("repeat", (), (), {"calls": runs(layers)})
    assert list(calls(node)) == layers
    assert [name for name, count in block_runs(node) for _ in range(count)] == [call.block for call in layers]


def test_equal_layers_are_one_run():
    layers = [Call("a", f"decoder.{i}") for i in range(126)]
    assert runs(layers) == [["a", "decoder", 0, 126]]


def test_fill():
    assert fill("{decoder}.q.weight", "decoder.3") == "decoder.3.q.weight"
    assert fill("vocab.weight", "decoder.3") == "vocab.weight"


def test_counts_prefixes_and_graphs():
    program = parse(TINY)
    assert program.counts() == {"decoder": 2}
    assert program.prefixes("decoder") == ["decoder.0", "decoder.1"]
    assert program.graph("main") is program.main and program.graph("decoder") is program.blocks["decoder"]


def test_stored_recipes_are_over_full_paths():
    program = parse(TINY)
    made = program.stored_recipes()
    assert made["vocab.weight"] == Stored("vocab.weight")
    assert made["decoder.1.q.weight"] == Concat((Stored("a"), Stored("b")), 0)


def test_questions_about_a_graph():
    program = parse(TINY)
    graph = program.main
    embed, repeat = graph.nodes
    assert graph.producer("x") is embed and graph.producer("ids") is None
    assert graph.users("x") == [repeat] and graph.used_once("x") and graph.used_once("y")
    assert list(dag(graph).edges) == [("x", "y")]
    renamed = graph.rebuilt(graph.nodes[1:], rename={"y": "z", "x": "ids", "z": "ids"})
    assert renamed.outputs == ("ids",) and renamed.nodes[0].inputs == ("ids",)
