"""Nodes that compute the same from the same inputs and parameters are computed once."""

import json
from dataclasses import dataclass
from typing import ClassVar

from compiler import ops
from compiler.ir.graph import Graph, Node
from compiler.passes.rewrite import Answer, LocalPass, Replacement, Site


@dataclass(frozen=True)
class CommonSubexpressions(LocalPass):
    name: ClassVar[str] = "common_subexpressions"

    def at(self, site: Site) -> Answer:
        node = site.node
        if not node.inputs or node.op == "repeat":
            return None
        for earlier in _readers(site.graph, node):
            if earlier is node:
                return None
            if _key(earlier) == _key(node):
                if any(map(site.named_outside, node.outputs)):
                    return f"{node.name} is an output of the model"
                return Replacement((node.name,), rename=dict(zip(node.outputs, earlier.outputs, strict=True)))
        return None


def _readers(graph: Graph, node: Node) -> list[Node]:
    """Nodes of the same operator and inputs, in order."""
    first = next((value for value in node.inputs if value), "")
    return [other for other in graph.users(first) if other.op == node.op and other.inputs == node.inputs]


def _key(node: Node) -> tuple[str, dict[str, str]]:
    fields = {**ops.get(node.op).fields, **node.attrs}
    return json.dumps(fields, sort_keys=True), dict(node.params)
