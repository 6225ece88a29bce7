"""Nodes whose outputs nothing reads are dropped."""

from dataclasses import dataclass
from typing import ClassVar

from compiler.passes.rewrite import Answer, LocalPass, Replacement, Site


@dataclass(frozen=True)
class DeadNodes(LocalPass):
    name: ClassVar[str] = "dead_nodes"

    def at(self, site: Site) -> Answer:
        if any(site.graph.use_counts[value] for value in site.node.outputs):
            return None
        return Replacement((site.node.name,))
