"""Nodes whose outputs nothing reads are dropped, and blocks that no layer runs any more."""

from dataclasses import dataclass, replace
from typing import ClassVar

from compiler.ir.program import Program
from compiler.passes.record import PassRecord
from compiler.passes.rewrite import Answer, LocalPass, Replacement, Site, without_unread


@dataclass(frozen=True)
class DeadNodes(LocalPass):
    name: ClassVar[str] = "dead_nodes"

    def at(self, site: Site) -> Answer:
        if any(site.graph.use_counts[value] for value in site.node.outputs):
            return None
        return Replacement((site.node.name,))

    def __call__(self, program: Program) -> tuple[Program, PassRecord]:
        after, record = super().__call__(program)
        called = {name: after.blocks[name] for name, count in after.counts().items() if count}
        return (
            (after, record)
            if len(called) == len(after.blocks)
            else (without_unread(replace(after, blocks=called)), record)
        )
