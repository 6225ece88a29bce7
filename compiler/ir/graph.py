"""One dataflow graph: immutable nodes in topological order. Questions about paths go to `compiler.ir.dag`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from typing import Any

from compiler.ir.types import TensorType


class GraphError(Exception):
    """A graph breaks a rule of the IR: a bug in a lowering or a pass, never the user's fault."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation. An absent optional input is the empty string."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)  # role -> parameter path (template)

    @property
    def name(self) -> str:
        """A node is known by its first output."""
        return self.outputs[0]

    def with_(self, **changes: Any) -> "Node":
        return replace(self, **changes)


@dataclass(frozen=True)
class Graph:
    """`inputs` and `types` give the type of each value; `outputs` are value names.

    `checked`: the shapes of the parameters that `compiler.ir.check` found it well-formed with, None if it has not.
    """

    name: str
    inputs: Mapping[str, TensorType]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    types: Mapping[str, TensorType] = field(default_factory=dict, compare=False)
    checked: Mapping[str, tuple[int, ...]] | None = field(default=None, compare=False, repr=False)

    @cached_property
    def _producer(self) -> dict[str, Node]:
        return {value: node for node in self.nodes for value in node.outputs}

    @cached_property
    def _users(self) -> dict[str, list[Node]]:
        users: dict[str, list[Node]] = {}
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                users.setdefault(value, []).append(node)
        return users

    @cached_property
    def use_counts(self) -> Counter[str]:
        """How often each value is read, graph outputs included."""
        return Counter([v for node in self.nodes for v in node.inputs if v] + list(self.outputs))

    def producer(self, value: str) -> Node | None:
        """The node that makes `value`, or None for a graph input."""
        return self._producer.get(value)

    def users(self, value: str) -> list[Node]:
        """Nodes that read `value`, in order (graph outputs are not nodes: see `use_counts`)."""
        return self._users.get(value, [])

    def used_once(self, value: str) -> bool:
        return self.use_counts[value] == 1

    def type_of(self, value: str) -> TensorType:
        return self.types[value]

    def rebuilt(self, nodes: Iterable[Node], rename: Mapping[str, str] | None = None) -> "Graph":
        """A graph with these nodes, reads renamed by `rename` (chains followed), sorted; `check` types its values."""
        rename = rename or {}

        def final(value: str) -> str:
            while value in rename:
                value = rename[value]
            return value

        renamed = [
            node if rename.keys().isdisjoint(node.inputs) else node.with_(inputs=tuple(map(final, node.inputs)))
            for node in nodes
        ]
        return Graph(self.name, self.inputs, toposort(renamed, self.inputs), tuple(map(final, self.outputs)))


def toposort(nodes: Sequence[Node], inputs: Iterable[str]) -> tuple[Node, ...]:
    """Nodes in dependency order, otherwise as given; GraphError on a cycle (unknown values are for `check`)."""
    known = set(inputs) | {""}
    if all(_adds(known, node) for node in nodes):
        return tuple(nodes)
    producer = {value: i for i, node in enumerate(nodes) for value in node.outputs}
    sorter = TopologicalSorter({i: {producer[v] for v in node.inputs if v in producer} for i, node in enumerate(nodes)})
    try:
        sorter.prepare()
    except CycleError as error:
        raise GraphError("the graph has a cycle") from error
    order: list[int] = []
    ready: list[int] = list(sorter.get_ready())
    ready.sort()
    while ready:
        order.append(heappop(ready))
        sorter.done(order[-1])
        for i in sorter.get_ready():
            heappush(ready, i)
    return tuple(nodes[i] for i in order)


def _adds(known: set[str], node: Node) -> bool:
    if not known.issuperset(node.inputs):
        return False
    known.update(node.outputs)
    return True
