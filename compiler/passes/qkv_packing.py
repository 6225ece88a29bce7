"""The q, k and v projections of one attention, all of one input -> one linear and a split."""

from dataclasses import dataclass
from typing import ClassVar

from compiler.ir.graph import Node
from compiler.passes.norms import NORMS
from compiler.passes.packing import against, packed, packed_path
from compiler.passes.rewrite import Answer, LocalPass, Replacement, Site

BETWEEN = ("rope", *NORMS, "split_heads")  # what may stand between a projection and the attention


@dataclass(frozen=True)
class QkvPacking(LocalPass):
    name: ClassVar[str] = "qkv_packing"
    anchors: ClassVar[tuple[str, ...]] = ("attention",)

    def at(self, site: Site) -> Answer:
        sources = [_source(site, value) for value in site.node.inputs[:3]]
        if any(node is not None and node.op == "split" for node in sources):
            return None  # packed already
        linears = []
        for role, node in zip("qkv", sources, strict=True):
            if node is None or node.op != "linear":
                return f"{role} comes from {f'{node.name} ({node.op})' if node else 'outside the graph'}, not a linear"
            linears.append(node)
        if reason := against(site, linears):
            return reason
        joined, params, recipes = packed(site, linears, packed_path([node.name for node in linears]))
        sizes = [node.attrs["width"] for node in linears]
        split = Node("split", joined.outputs, tuple(node.name for node in linears), {"sizes": sizes})
        return Replacement(tuple(node.name for node in linears), (joined, split), params=params, recipes=recipes)


def _source(site: Site, value: str) -> Node | None:
    """The node behind the heads, norm and rotation of a q, k or v."""
    node = site.graph.producer(value)
    while node is not None and node.op in BETWEEN:
        node = site.graph.producer(node.inputs[0])
    return node
