"""add, then a norm that reads the sum -> add_norm, which gives both."""

from dataclasses import dataclass
from typing import ClassVar

from compiler.ir.graph import Node
from compiler.passes.norms import NORMS, against_fusing, fused_fields
from compiler.passes.rewrite import Answer, LocalPass, Replacement, Site


@dataclass(frozen=True)
class ResidualNorm(LocalPass):
    """Candidates are norms of a sum, or of a stream that comes from another layer."""

    name: ClassVar[str] = "residual_norm"
    anchors: ClassVar[tuple[str, ...]] = NORMS

    def at(self, site: Site) -> Answer:
        norm = site.node
        (value,) = norm.inputs
        add = site.graph.producer(value)
        if add is None or add.op == "repeat":
            return None if len(site.type_of(value).shape) != 3 else f"the sum behind {value} is in another graph"
        if add.op == "add_norm":
            return f"{add.name} has its norm already"
        if add.op != "add":
            return None
        if site.type_of(add.inputs[0]) != site.type_of(add.inputs[1]):
            return f"{add.name} broadcasts"
        if reason := against_fusing(norm):
            return reason
        attrs = {"left": add.attrs.get("left", 1), "right": add.attrs.get("right", 1), **fused_fields(norm)}
        joined = Node("add_norm", add.inputs, (add.name, norm.name), attrs, norm.params)
        return Replacement((add.name, norm.name), (joined,))
