"""A program as a flat list of what runs: every node once, with how many layers run it and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Literal

from archspec.spec.formula import names
from compiler import ops
from compiler.ir.check import ABSENT
from compiler.ir.graph import Graph, Node
from compiler.ir.parts import run_once, split
from compiler.ir.program import Param, Program
from compiler.ir.types import TensorType, size
from compiler.ops.base import Env, Op, StateTensor

Stage = Literal["source", "step", "tail"]


@dataclass(frozen=True, slots=True)
class Site:
    """stage: "source" runs once: source stacks (an encoder) and what is made of their outputs only. "step" runs for
    every new token, "tail" is what follows the last layer (final norm and head), where generation needs the last
    position only."""

    graph: str
    node: Node
    op: Op
    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]
    params: Mapping[str, Param]  # role -> what it is stored as
    runs: int
    stage: Stage

    def state(self) -> tuple[StateTensor, ...]:
        return self.op.state(self.inputs, self.node.attrs)

    def tokens(self, env: Env) -> int:
        """Rows that the node works on: batch times positions."""
        dims = [dim for dim in self.outputs[0].shape if isinstance(dim, str) and dim != "T"]
        return prod(size(dim, env) for dim in dims)


def sites(program: Program) -> tuple[Site, ...]:
    """Every node of every graph, repeats opened."""
    counts = program.counts()
    tail, once = _tail(program.main), run_once(program)
    found: list[Site] = []
    for graph in program.graphs():
        runs = 1 if graph is program.main else counts[graph.name]
        for node in graph.nodes:
            if node.op == "repeat":
                continue
            inputs = tuple(graph.types[v] if v else ABSENT for v in node.inputs)
            outputs = tuple(graph.types[v] for v in node.outputs)
            params = {role: program.params[path] for role, path in node.params.items()}
            last = graph is program.main and node.name in tail
            stage: Stage = "tail" if last else "source" if node.name in once.get(graph.name, ()) else "step"
            found.append(Site(graph.name, node, ops.get(node.op), inputs, outputs, params, runs, stage))
    return tuple(found)


def _tail(main: Graph) -> frozenset[str]:
    """Names of the main nodes that work on what the last repeat makes."""
    made: set[str] = set()
    tail: set[str] = set()
    for node in main.nodes:
        if node.op == "repeat":
            made, tail = set(node.outputs), set()
        elif made.intersection(node.inputs):
            made.update(node.outputs)
            tail.add(node.name)
    return frozenset(tail)


@lru_cache(4096)
def _symbols(dim: str) -> frozenset[str]:
    return frozenset((dim,)) if dim.isidentifier() else names(dim)


def environment(program: Program, batch: int, new: int, total: int, source: int) -> dict[str, int]:
    """Sizes of all symbols: B, S new tokens, T past and new tokens, and the length of every source."""
    env = {"B": batch, "S": new, "T": total}
    for type_ in program.main.inputs.values():
        for dim in type_.shape:
            if isinstance(dim, str):
                env.update({symbol: source for symbol in _symbols(dim) if symbol not in env})
    return env


def last_only(env: Env) -> dict[str, int]:
    """The sizes that the tail sees when only the last position's output is wanted."""
    return {**env, "S": 1}


def source_is_prompt(program: Program) -> bool:
    """True where a source reads token ids: a prompt is read there (translation), and the output stack starts empty."""
    source, _ = split(program)
    return any(node.op == "embedding" and node.inputs[0] in source.inputs for node in source.nodes)


def whole_prompt(found: tuple[Site, ...]) -> bool:
    """True where a prompt must go through in one piece, since its tokens see later ones."""
    return any(s.op.whole_prompt(s.node.attrs) for s in found if s.stage != "source")


def stored_copies(program: Program) -> Mapping[str, int]:
    """Parameter template -> how many tensors it stands for, each stored tensor counted once."""
    prefixes: dict[str, dict[str, None]] = {name: {} for name in program.blocks}
    for _, region in program.regions():
        for call in region:
            prefixes[call.block].setdefault(call.prefix)
    copies: dict[str, int] = {}
    seen: set[str] = set()  # full paths, where prefixes of several blocks may meet
    for graph in program.graphs():
        own = prefixes.get(graph.name, {})
        shared = any(p in others for name, others in prefixes.items() if name != graph.name for p in own)
        for template in program.templates(graph):
            if "{" not in template:
                copies[template] = 1
            elif not shared:
                copies[template] = len(own)
            else:
                rest = template.partition("}")[2]
                fresh = {prefix + rest for prefix in own} - seen
                seen |= fresh
                copies[template] = len(fresh)
    return copies
