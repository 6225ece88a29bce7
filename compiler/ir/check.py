"""Well-formedness: run before and after every pass. Also fills in the types of all values."""

from collections.abc import Mapping
from dataclasses import replace

from compiler import ops
from compiler.ir.graph import Graph, GraphError, Node
from compiler.ir.program import Program, block_runs, by_layer
from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED


def check(program: Program) -> Program:
    """The same program, every value typed. GraphError names graph, node and rule."""
    blocks = {
        name: graph if _known(graph, program) else typed(graph, program) for name, graph in program.blocks.items()
    }
    program = replace(program, blocks=blocks)
    program = replace(program, main=typed(program.main, program))
    counts = program.counts()
    for name, count in counts.items():
        if not count:
            raise GraphError(f"{program.name}: block {name} is never called")
    return program


def typed(graph: Graph, program: Program) -> Graph:
    """`graph` with `types` filled in, every node checked against its operator's declaration."""
    types: dict[str, TensorType] = dict(graph.inputs)
    for node in graph.nodes:
        try:
            outputs = _outputs(node, types, program)
        except _Wrong as wrong:
            where = f"{program.name}: graph {graph.name}, node {', '.join(node.outputs)} ({node.op})"
            raise GraphError(f"{where}: {wrong}") from None
        types.update(zip(node.outputs, outputs, strict=True))
    for value in graph.outputs:
        if value not in types:
            raise GraphError(f"{program.name}: graph {graph.name}: output {value} is never made")
    shapes = {path: program.params[path].shape for node in graph.nodes for path in node.params.values()}
    return replace(graph, types=types, checked=shapes)


def _known(graph: Graph, program: Program) -> bool:
    """True where `typed` made this very graph with parameters of these shapes: it would find the same again."""
    if graph.checked is None:
        return False
    return all(path in program.params and program.params[path].shape == s for path, s in graph.checked.items())


class _Wrong(Exception):
    """What one node does wrong; `typed` adds where."""


def _outputs(node: Node, types: Mapping[str, TensorType], program: Program) -> tuple[TensorType, ...]:
    for value in node.inputs:
        if value and value not in types:
            raise _Wrong(f"reads {value}, which nothing before it makes")
    outputs = _repeat(node, types, program) if node.op == "repeat" else _plain(node, types, program)
    if len(outputs) != len(node.outputs):
        raise _Wrong(f"{len(node.outputs)} outputs named, the operator makes {len(outputs)}")
    for value in node.outputs:
        if value in types or node.outputs.count(value) > 1:
            raise _Wrong(f"{value} is made twice")
        if not value:
            raise _Wrong("an output has no name")
    return outputs


def _plain(node: Node, types: Mapping[str, TensorType], program: Program) -> tuple[TensorType, ...]:
    try:
        op = ops.get(node.op)
    except KeyError:
        raise _Wrong("there is no such operator") from None
    fewest, most = op.n_inputs
    if len(node.inputs) < fewest or (most is not None and len(node.inputs) > most):
        raise _Wrong(f"{len(node.inputs)} inputs, allowed {fewest} to {'any number' if most is None else most}")
    for name in node.attrs:
        if name not in op.fields:
            raise _Wrong(f"has no field {name}")
    for name, default in op.fields.items():
        if default is REQUIRED and name not in node.attrs:
            raise _Wrong(f"field {name} is missing")
    inputs = [types[v] if v else ABSENT for v in node.inputs]
    if wrong := op.check(inputs, node.attrs):
        raise _Wrong(wrong)
    declared = op.params(inputs, node.attrs)
    if declared.keys() != node.params.keys():
        raise _Wrong(f"parameters {sorted(node.params)}, declared {sorted(declared)}")
    for role, shape in declared.items():
        param = program.params.get(node.params[role])
        if param is None:
            raise _Wrong(f"parameter {node.params[role]} is not in the program")
        if param.shape != shape:
            raise _Wrong(f"parameter {node.params[role]} has shape {param.shape}, needs {shape}")
    return op.infer(inputs, node.attrs)


def _repeat(node: Node, types: Mapping[str, TensorType], program: Program) -> tuple[TensorType, ...]:
    if not {"calls"} <= set(node.attrs) <= {"calls", "numbers"} or node.params:
        raise _Wrong("a repeat has the field calls, may have numbers, and has no parameters")
    _numbers(node, program)
    carried = [types[v] for v in node.inputs[: len(node.outputs)]]
    captured = [types[v] for v in node.inputs[len(carried) :]]
    for name, count in block_runs(node):
        block = program.blocks.get(name)
        if block is None:
            raise _Wrong(f"there is no block {name}")
        if len(block.inputs) != len(node.inputs) or len(block.outputs) != len(node.outputs):
            raise _Wrong(f"block {name} takes {len(block.inputs)} values and gives {len(block.outputs)}")
        for _ in range(min(count, 2)):  # what a second call accepts, every later one does
            for (value, want), got in zip(block.inputs.items(), (*carried, *captured), strict=True):
                if want != got:
                    raise _Wrong(f"block {name} wants {value}: {want}, gets {got}")
            carried = [block.types[v] for v in block.outputs]
    return tuple(carried)


def _numbers(node: Node, program: Program) -> None:
    """Every number that a block's layers have for themselves is given, once a layer."""
    counts: dict[str, int] = {}
    for name, count in block_runs(node):
        counts[name] = counts.get(name, 0) + count
    given = node.attrs.get("numbers", {})
    for name in counts.keys() & program.blocks.keys():
        wanted = {by_layer(v) for inner in program.blocks[name].nodes for v in inner.attrs.values()} - {None}
        lists = given.get(name, {})
        if wanted - lists.keys() or any(len(values) != counts[name] for values in lists.values()):
            raise _Wrong(f"the {counts[name]} layers of block {name} want the numbers {sorted(map(str, wanted))}")


ABSENT = TensorType("absent", ())
