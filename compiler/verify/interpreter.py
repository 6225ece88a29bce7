"""The reference interpreter: runs a program node by node with the operators' reference meanings, in any float type."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from compiler import ops
from compiler.ir.graph import Graph, Node
from compiler.ir.program import Program, calls, fill, of_call
from compiler.ops.context import Context

Params = Mapping[str, Tensor]


@torch.no_grad()
def interpret(program: Program, params: Params, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Outputs of the main graph by value name.

    params: full path -> tensor, all of one float type. inputs: main inputs by name; optional ones may be absent.
    """
    given = complete_inputs(program, inputs)
    return dict(zip(program.main.outputs, run_graph(program, program.main, params, given, ""), strict=True))


def complete_inputs(program: Program, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inputs with what stands in for absent optional ones."""
    missing = [n for n in program.main.inputs if n not in inputs and n not in program.optional]
    if missing:
        raise ValueError(f"inputs {missing} are missing")
    given = dict(inputs)
    for name, stand_in in program.optional.items():
        if name in given or name not in program.main.inputs:
            continue
        batch, length = given[program.meta["ids"][name]].shape[:2]
        if stand_in == "ones":
            given[name] = torch.ones(batch, length, dtype=torch.bool)
        elif stand_in == "zeros":
            given[name] = torch.zeros(batch, length).long()
        else:  # as many rows as its own length says: none
            fixed = program.main.inputs[name].shape[1:]
            given[name] = torch.empty(batch, *(d if isinstance(d, int) else 0 for d in fixed))
    return given


def run_graph(
    program: Program, graph: Graph, params: Params, inputs: Mapping[str, Tensor], prefix: str
) -> tuple[Tensor, ...]:
    """Outputs of one graph; `prefix` fills the `{block}` of its parameter paths."""
    values: dict[str, Tensor] = {name: inputs[name] for name in graph.inputs}
    values[""] = torch.empty(0)
    context = Context(dict(inputs), next((p.dtype for p in params.values()), torch.float64))
    for node in graph.nodes:
        results = (
            _region(program, node, params, values)
            if node.op == "repeat"
            else _node(node, params, values, prefix, context)
        )
        values.update(zip(node.outputs, results, strict=True))
    return tuple(values[v] for v in graph.outputs)


def _node(
    node: Node, params: Params, values: Mapping[str, Tensor], prefix: str, context: Context
) -> tuple[Tensor, ...]:
    own = {role: params[fill(path, prefix)] for role, path in node.params.items()}
    return tuple(ops.meaning(node.op).run([values[v] for v in node.inputs], own, node.attrs, context))


def _region(program: Program, node: Node, params: Params, values: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    carried = [values[v] for v in node.inputs[: len(node.outputs)]]
    captured = [values[v] for v in node.inputs[len(node.outputs) :]]
    for call in calls(node):
        block = program.blocks[call.block]
        given = dict(zip(block.inputs, [*carried, *captured], strict=True))
        nodes = tuple(of_call(inner, call) for inner in block.nodes)
        carried = list(run_graph(program, replace(block, nodes=nodes), params, given, call.prefix))
    return tuple(carried)
