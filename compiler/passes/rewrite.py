"""What all local passes share: an anchor in, a replacement or the reason against it out; applied until nothing matches.

A pass of this kind is a frozen dataclass with a `name` and one method, `at(site)`. It holds no state and sees one
distinct graph at a time, so a model of 126 equal layers costs what one layer costs.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from archspec.interop.recipe import Recipe
from compiler.ir.check import typed
from compiler.ir.graph import Graph, Node
from compiler.ir.program import Param, Program
from compiler.ir.types import TensorType
from compiler.passes.record import PassRecord, Refusal
from compiler.passes.saving import saving


@dataclass(frozen=True, slots=True)
class Replacement:
    """`remove`: names of nodes that go. `add`: nodes that stand in for them, at the place of the last one removed.

    `rename`: value -> the value that its readers read instead. `params`, `recipes`: packed parameters that `add` reads.
    """

    remove: tuple[str, ...]
    add: tuple[Node, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Param] = field(default_factory=dict)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)


Answer = Replacement | str | None  # a str is the reason of a refusal; None: not a candidate at all


@dataclass(frozen=True)
class Site:
    """One node of one graph, and the questions that patterns ask about its neighbourhood."""

    program: Program
    graph: Graph
    node: Node

    def producer(self, value: str, *ops: str) -> Node | None:
        """The node that makes `value`, if its operator is one of `ops`."""
        node = self.graph.producer(value)
        return node if node is not None and node.op in ops else None

    def sole_reader(self, value: str, *ops: str) -> Node | None:
        """The only reader of `value`, if its operator is one of `ops` and the value is not an output of the graph."""
        users = self.graph.users(value)
        return users[0] if self.graph.used_once(value) and users and users[0].op in ops else None

    def named_outside(self, value: str) -> bool:
        """True for an output of the main graph: callers know it by name, those of a block by place."""
        return self.graph is self.program.main and value in self.graph.outputs

    def joined(self, tail: Node, head: Node) -> Replacement:
        """`head` stands in for itself and `tail`, which alone read it; an output of the model keeps its name."""
        if self.named_outside(tail.name):
            return Replacement((head.name, tail.name), (head.with_(outputs=tail.outputs),))
        return Replacement((head.name, tail.name), (head,), {tail.name: head.name})

    def type_of(self, value: str) -> TensorType:
        return self.graph.types[value]

    def reads(self, path: str) -> int:
        """How many nodes of the program read the parameter template `path`."""
        return sum(p == path for graph in self.program.graphs() for n in graph.nodes for p in n.params.values())


@dataclass(frozen=True)
class LocalPass(ABC):
    """Called with a program; returns the rewritten one and the record."""

    name: ClassVar[str]
    anchors: ClassVar[tuple[str, ...]] = ()  # operators to look at; () means every node

    @abstractmethod
    def at(self, site: Site) -> Answer:
        """What to do at this anchor."""

    def __call__(self, program: Program) -> tuple[Program, PassRecord]:
        counts = program.counts() | {program.main.name: 1}
        refused: list[Refusal] = []
        matched = 0
        after = program
        for name, calls in counts.items():
            after, found, reasons = self._rewrite(after, name)
            matched += found * calls
            refused += [Refusal(name, node, reason, calls) for node, reason in reasons.items()]
        expected = matched + sum(r.calls for r in refused)
        if not matched:
            return program, PassRecord(self.name, 0, expected, tuple(refused))
        after = without_unread(after)
        return after, PassRecord(self.name, matched, expected, tuple(refused), saving(program, after), True)

    def _rewrite(self, program: Program, name: str) -> tuple[Program, int, dict[str, str]]:
        """Rounds over one graph until one changes nothing: (program, matches, refusals of the last round)."""
        matched = 0
        while True:
            graph = program.graph(name)
            reasons: dict[str, str] = {}
            taken: set[str] = set()
            chosen: list[Replacement] = []
            for node in graph.nodes:
                if node.op not in self.anchors and self.anchors:
                    continue
                answer = self.at(Site(program, graph, node))
                if isinstance(answer, str):
                    reasons[node.name] = answer
                elif answer is not None and taken.isdisjoint(touched(answer)):
                    taken.update(touched(answer))
                    chosen.append(answer)
            if not chosen:
                return program, matched, reasons
            matched += len(chosen)
            program = apply(program, graph, chosen)


def touched(replacement: Replacement) -> set[str]:
    """Names that a second replacement of the same round must leave alone."""
    return {*replacement.remove, *replacement.rename.values()}


def apply(program: Program, graph: Graph, replacements: Iterable[Replacement]) -> Program:
    """The program with `graph` rewritten and typed again."""
    removed: set[str] = set()
    added: dict[str, tuple[Node, ...]] = {}  # last removed node -> what takes its place
    rename: dict[str, str] = {}
    params, recipes = dict(program.params), dict(program.recipes)
    for one in replacements:
        removed.update(one.remove)
        rename.update(one.rename)
        params.update(one.params)
        recipes.update(one.recipes)
        place = next(node.name for node in reversed(graph.nodes) if node.name in one.remove)
        added[place] = one.add
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.name in added:
            nodes += added[node.name]
        elif node.name not in removed:
            nodes.append(node)
    program = replace(program, params=params, recipes=recipes)
    return program.with_graphs({graph.name: typed(graph.rebuilt(nodes, rename=rename), program)})


def without_unread(program: Program) -> Program:
    """Parameters and recipes that no node reads any more are dropped."""
    read = {path for graph in program.graphs() for node in graph.nodes for path in node.params.values()}
    if len(read) == len(program.params):
        return program
    params = {path: param for path, param in program.params.items() if path in read}
    recipes = {path: recipe for path, recipe in program.recipes.items() if path in read}
    return replace(program, params=params, recipes=recipes)
