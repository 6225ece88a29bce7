"""Well-formedness: run before and after every pass. Also fills in the types of all values."""

from collections.abc import Mapping
from dataclasses import replace

from compiler import ops
from compiler.ir.graph import Graph, GraphError, Node
from compiler.ir.program import Program, calls
from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED


def check(program: Program) -> Program:
    """The same program, every value typed. GraphError names graph, node and rule."""
    blocks = {name: typed(graph, program) for name, graph in program.blocks.items()}
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
        where = f"{program.name}: graph {graph.name}, node {node.name} ({node.op})"
        for value in node.inputs:
            if value and value not in types:
                raise GraphError(f"{where}: reads {value}, which nothing before it makes")
        outputs = _repeat(node, types, program, where) if node.op == "repeat" else _plain(node, types, program, where)
        if len(outputs) != len(node.outputs):
            raise GraphError(f"{where}: {len(node.outputs)} outputs named, the operator makes {len(outputs)}")
        for value, type_ in zip(node.outputs, outputs, strict=True):
            if value in types:
                raise GraphError(f"{where}: {value} is made twice")
            types[value] = type_
    for value in graph.outputs:
        if value not in types:
            raise GraphError(f"{program.name}: graph {graph.name}: output {value} is never made")
    return replace(graph, types=types)


def _plain(node: Node, types: Mapping[str, TensorType], program: Program, where: str) -> tuple[TensorType, ...]:
    try:
        op = ops.get(node.op)
    except KeyError:
        raise GraphError(f"{where}: there is no such operator") from None
    fewest, most = op.n_inputs
    if len(node.inputs) < fewest or (most is not None and len(node.inputs) > most):
        raise GraphError(f"{where}: {len(node.inputs)} inputs, allowed {fewest} to {most}")
    for name in node.attrs:
        if name not in op.fields:
            raise GraphError(f"{where}: has no field {name}")
    for name, default in op.fields.items():
        if default is REQUIRED and name not in node.attrs:
            raise GraphError(f"{where}: field {name} is missing")
    inputs = [types[v] if v else ABSENT for v in node.inputs]
    wrong = op.check(inputs, node.attrs)
    if wrong:
        raise GraphError(f"{where}: {wrong}")
    declared = op.params(inputs, node.attrs)
    if set(declared) != set(node.params):
        raise GraphError(f"{where}: parameters {sorted(node.params)}, declared {sorted(declared)}")
    for role, shape in declared.items():
        param = program.params.get(node.params[role])
        if param is None:
            raise GraphError(f"{where}: parameter {node.params[role]} is not in the program")
        if param.shape != shape:
            raise GraphError(f"{where}: parameter {node.params[role]} has shape {param.shape}, needs {shape}")
    return op.infer(inputs, node.attrs)


def _repeat(node: Node, types: Mapping[str, TensorType], program: Program, where: str) -> tuple[TensorType, ...]:
    if set(node.attrs) != {"calls"} or node.params:
        raise GraphError(f"{where}: a repeat has exactly the field calls and no parameters")
    carried = [types[v] for v in node.inputs[: len(node.outputs)]]
    for call in calls(node):
        block = program.blocks.get(call.block)
        if block is None:
            raise GraphError(f"{where}: there is no block {call.block}")
        if len(block.inputs) != len(node.inputs) or len(block.outputs) != len(node.outputs):
            raise GraphError(f"{where}: block {call.block} takes {len(block.inputs)} and gives {len(block.outputs)}")
        given = [*carried, *(types[v] for v in node.inputs[len(carried) :])]
        for (name, want), got in zip(block.inputs.items(), given, strict=True):
            if want != got:
                raise GraphError(f"{where}: block {call.block} wants {name}: {want}, gets {got}")
        carried = [block.types[v] for v in block.outputs]
    return tuple(carried)


ABSENT = TensorType("absent", ())
