"""The pipeline: passes by name in their own order, checked before and after each, light to import."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace

import pytest

from archspec import zoo
from archspec.errors import InputError
from archspec.spec import load_spec, resolve
from compiler import pipeline
from compiler.ir.graph import GraphError
from compiler.lower.program import lower
from compiler.passes.record import PassRecord
from tests.passes.graphs import program

BODY = 'y = linear(x) {"width": 8} <weight=w>\nz = bias(y) {} <bias=b>\nreturn z'


@dataclass(frozen=True)
class Breaks:
    """Leaves a reader of a value that is gone."""

    name: str = "breaks"

    def __call__(self, given):
        main = replace(given.main, nodes=given.main.nodes[1:], checked=None)
        return given.with_graphs({"main": main}), PassRecord(self.name, 1, 1, modified=True)


def test_names():
    given = program(BODY)
    same, records = pipeline.run(given, ())
    assert same == given and records == ()
    _, records = pipeline.run(given, ("dead_nodes", "bias_epilogue", "constant_folding"))
    assert [r.name for r in records] == ["constant_folding", "dead_nodes", "bias_epilogue"]
    _, records = pipeline.run(given)
    assert [r.name for r in records] == [p.name for p in pipeline.PASSES]
    with pytest.raises(InputError, match="there is no pass 'qkv'; the passes are constant_folding, "):
        pipeline.run(given, ("qkv",))


def test_a_pass_that_breaks_the_graph_is_caught():
    with pytest.raises(GraphError, match="reads y, which nothing before it makes"):
        pipeline.run_passes(program(BODY), (Breaks(),))


def test_a_broken_graph_is_caught_before_the_first_pass():
    given = program(BODY)
    broken = given.with_graphs({"main": replace(given.main, nodes=given.main.nodes[1:], checked=None)})
    with pytest.raises(GraphError, match="reads y"):
        pipeline.run(broken)


def test_records_count_layers_and_say_what_is_saved():
    _, records = pipeline.run(lower(resolve(load_spec(zoo.read("smollm2-135m")))))
    found = {r.name: (r.matched, r.expected) for r in records if r.expected}
    assert found == {"qkv_packing": (30, 30), "gate_up_packing": (30, 30), "residual_norm": (30, 61),
                     "grouped_query": (30, 30)}  # fmt: skip
    by_name = {r.name: r for r in records}
    assert by_name["qkv_packing"].saved == {"nodes": 30, "elements_per_token": 30 * 2 * 576}
    refused = by_name["residual_norm"].refused
    assert [(r.graph, r.node, r.calls) for r in refused] == [
        ("decoder", "attention.pre_norm", 30), ("main", "decoder.final_norm", 1)
    ]  # fmt: skip
    assert json.loads(json.dumps([r.to_json() for r in records]))[4]["matched"] == 30


def test_after_each_is_called_with_every_program():
    seen = []
    pipeline.run_passes(program(BODY), pipeline.PASSES, lambda name, given: seen.append((name, len(given.main.nodes))))
    assert seen[2:4] == [("dead_nodes", 2), ("bias_epilogue", 1)]


def test_neither_torch_nor_networkx_is_imported():
    code = (
        "import sys; from archspec import zoo; from archspec.spec import load_spec, resolve; from compiler import "
        "pipeline; from compiler.lower.program import lower; "
        "pipeline.run(lower(resolve(load_spec(zoo.read('llama-3-8b'))))); "
        "assert not {'torch', 'networkx', 'numpy', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
