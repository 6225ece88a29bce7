"""What a rewrite saves, counted on the graphs before and after: nodes, and activations read and written."""

from compiler import ops
from compiler.ir.graph import Graph, Node
from compiler.ir.program import Program
from compiler.ir.types import TensorType


def saving(before: Program, after: Program) -> dict[str, int]:
    """Nodes executed and elements moved per token (batch 1, one token) that `after` has less than `before`."""
    counts = before.counts() | {before.main.name: 1}
    nodes = elements = 0
    for name, calls in counts.items():
        old, new = before.graph(name), after.graph(name)
        if old is not new:
            nodes += calls * (len(old.nodes) - len(new.nodes))
            elements += calls * (_moved(old) - _moved(new))
    return {"nodes": nodes, "elements_per_token": elements}


def _moved(graph: Graph) -> int:
    return sum(_traffic(node, graph) for node in graph.nodes if node.op != "repeat" and not ops.get(node.op).view)


def _traffic(node: Node, graph: Graph) -> int:
    """Elements that a node reads and writes, activations only; symbolic axes count one."""
    return sum(_elements(graph.types[v]) for v in (*node.inputs, *node.outputs) if v)


def _elements(type_: TensorType) -> int:
    n = 1
    for dim in type_.shape:
        if isinstance(dim, int):
            n *= dim
    return n
