"""What the output pass of a model is like: how it numbers its tokens, how it ends."""

from collections.abc import Sequence

from compiler import ops
from compiler.ir.graph import Node
from compiler.ir.parts import Part
from compiler.ir.program import Program


def by_slots(output: Part) -> bool:
    """Whether the output pass numbers its tokens by slot where a caller says nothing else."""
    return any(n.op == "positions" and n.attrs["counts"] == "index" and n.attrs.get("given") for n in output.nodes)


def finishing(program: Program, nodes: Sequence[Node], last_region: int) -> Sequence[Node]:
    """What follows the layers up to the output, where it reads nothing but what they made and keeps no state."""
    after = nodes[last_region + 1 :] if last_region >= 0 else []
    known = {v for node in nodes[last_region:] for v in node.outputs}
    types = {**program.main.types, **program.main.inputs}
    pure = all(v in known for node in after for v in node.inputs)
    if not pure or not known.issuperset(program.main.outputs):
        return []
    return [] if any(ops.get(n.op).state([types[v] for v in n.inputs], n.attrs) for n in after) else after
