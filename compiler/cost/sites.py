"""A program as a flat list of what runs: every node once, with how many layers run it and when."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Literal

from archspec.spec.formula import names
from compiler import ops
from compiler.ir.check import ABSENT
from compiler.ir.graph import Graph, Node
from compiler.ir.program import Param, Program
from compiler.ir.types import TensorType, size
from compiler.ops.base import Env, Op, StateTensor

Stage = Literal["source", "step", "tail"]


@dataclass(frozen=True, slots=True)
class Site:
    """stage: "source" runs once for a source stack (an encoder), "step" for every new token, "tail" is what follows the
    last layer (final norm and head), where generation needs the last position only."""

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
    tail = _tail(program.main)
    found: list[Site] = []
    for graph in program.graphs():
        runs = 1 if graph is program.main else counts[graph.name]
        for node in graph.nodes:
            if node.op == "repeat":
                continue
            inputs = tuple(graph.types[v] if v else ABSENT for v in node.inputs)
            outputs = tuple(graph.types[v] for v in node.outputs)
            params = {role: program.params[path] for role, path in node.params.items()}
            stage: Stage = (
                "tail" if graph is program.main and node.name in tail else "source" if _once(outputs) else "step"
            )
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


def _once(outputs: tuple[TensorType, ...]) -> bool:
    """True where the values belong to a source: as long as the source, not as the new tokens."""
    found = {symbol for type_ in outputs for dim in type_.shape if isinstance(dim, str) for symbol in _symbols(dim)}
    return "S" not in found and any(symbol.startswith("S_") for symbol in found)


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


def why_no_step(found: tuple[Site, ...]) -> str | None:
    """None if the program can generate token by token; else the reason."""
    reasons: Iterator[str | None] = (s.op.lookahead(s.node.attrs) for s in found if s.stage != "source")
    return next((reason for reason in reasons if reason), None)


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
