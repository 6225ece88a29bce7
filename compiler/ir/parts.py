"""A program as what runs once, over its sources, and what runs at every step; and why there may be no steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler import ops
from compiler.ir.graph import Node
from compiler.ir.program import Program, block_runs


@dataclass
class Part:
    """One of the two passes of a model: over the sources (encoders), or over the output stack."""

    nodes: list[Node] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)  # main inputs that it reads, ids first


def split(program: Program) -> tuple[Part, Part]:
    """The source pass and the output pass: what depends on new tokens (symbols S and T) is the output's."""
    own = {name for name, t in program.main.inputs.items() if {"S", "T"} & {str(d) for d in t.shape}}
    alone = not own or len(program.meta.get("stacks", ())) < 2  # one pass over everything
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


def why_no_step(program: Program) -> str | None:
    """Why the model cannot run step by step: the operator and its reason; None where it can."""
    return refusal(program, split(program)[1])


def refusal(program: Program, output: Part) -> str | None:
    """`why_no_step` where the output pass is at hand."""
    if not any("S" in program.main.inputs[name].shape for name in output.inputs):
        return "nothing is read token by token"
    blocks = dict.fromkeys(block for node in output.nodes if node.op == "repeat" for block, _ in block_runs(node))
    for node in [*output.nodes, *(n for block in blocks for n in program.blocks[block].nodes)]:
        reason = None if node.op == "repeat" else ops.get(node.op).lookahead(node.attrs)
        if reason is not None:
            return f"{node.op}: {reason}"
    return None


def run_once(program: Program) -> Mapping[str, frozenset[str]]:
    """Graph -> names of its nodes that depend on sources only: a source's own, and what layers make of its outputs
    (keys and values), which is held from step to step."""
    source = split(program)[0]
    known = {*source.inputs, *(v for node in source.nodes for v in node.outputs)}
    once = {program.main.name: frozenset(node.name for node in source.nodes)}
    for node in program.main.nodes:
        for block, _ in block_runs(node) if node.op == "repeat" else ():
            graph = program.blocks[block]
            captured = list(zip(graph.inputs, node.inputs, strict=True))[len(node.outputs) :]
            given = {mine for mine, v in captured if v in known}
            whole = node.name in once[program.main.name]
            found = frozenset(n.name for n in graph.nodes) if whole else _from(graph.nodes, given)
            once[block] = once.get(block, found) & found
    return once


def _from(nodes: tuple[Node, ...], given: set[str]) -> frozenset[str]:
    """Names of the nodes that read something, and nothing but what is given or made of it."""
    found: set[str] = set()
    for node in nodes:
        read = [v for v in node.inputs if v]
        if read and given.issuperset(read):
            given.update(node.outputs)
            found.add(node.name)
    return frozenset(found)
