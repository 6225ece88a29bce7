"""A program as the passes of a model: over its sources, over its output stack, and how the latter ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from compiler import ops
from compiler.ir.graph import Node
from compiler.ir.program import Program, calls


@dataclass
class Part:
    """One of the two passes of a model: over the sources (encoders), or over the output stack."""

    nodes: list[Node] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)  # main inputs that it reads, ids first


def split(program: Program) -> tuple[Part, Part]:
    """The source pass and the output pass: what depends on new tokens (symbols S and T) is the output's."""
    own = {name for name, t in program.main.inputs.items() if {"S", "T"} & {str(d) for d in t.shape}}
    alone = not own or len(program.meta["stacks"]) == 1  # one pass over everything
    own = set(program.main.inputs) if alone else own
    reached = set(own)
    source, output = Part(), Part()
    for node in program.main.nodes:
        late = alone or any(v in reached for v in node.inputs)
        part = output if late else source
        part.nodes.append(node)
        reached.update(node.outputs if late else ())
    for part, names in ((output, own), (source, set(program.main.inputs) - own)):
        part.inputs = sorted(names, key=lambda n: (n in program.optional, list(program.main.inputs).index(n)))
    return source, output


def refusal(program: Program, output: Part) -> str | None:
    """Why the model cannot run step by step: the operator and its reason; None where it can."""
    if not any("S" in program.main.inputs[name].shape for name in output.inputs):
        return "nothing is read token by token"
    graphs = [program.blocks[b] for node in output.nodes if node.op == "repeat" for b in {c.block for c in calls(node)}]
    for node in [*output.nodes, *(n for graph in graphs for n in graph.nodes)]:
        reason = None if node.op == "repeat" else ops.get(node.op).lookahead(node.attrs)
        if reason is not None:
            return f"{node.op}: {reason}"
    return None


def finishing(program: Program, nodes: Sequence[Node], last_region: int) -> Sequence[Node]:
    """What follows the layers up to the output, where it reads nothing but what they made and keeps no state."""
    after = nodes[last_region + 1 :] if last_region >= 0 else []
    known = {v for node in nodes[last_region:] for v in node.outputs}
    types = {**program.main.types, **program.main.inputs}
    pure = all(v in known for node in after for v in node.inputs)
    if not pure or not known.issuperset(program.main.outputs):
        return []
    return [] if any(ops.get(n.op).state([types[v] for v in n.inputs], n.attrs) for n in after) else after
