"""add, then a norm that reads the sum -> add_norm, which gives both."""

from dataclasses import dataclass
from typing import ClassVar

from compiler import ops
from compiler.ir.graph import Node
from compiler.ops.add_norm.shape import NORMS
from compiler.passes.rewrite import Answer, LocalPass, Replacement, Site


@dataclass(frozen=True)
class ResidualNorm(LocalPass):
    """An anchor is a norm over the stream width; norms inside attention heads are no candidates."""

    name: ClassVar[str] = "residual_norm"
    anchors: ClassVar[tuple[str, ...]] = NORMS

    def at(self, site: Site) -> Answer:
        norm = site.node
        (value,) = norm.inputs
        if len(site.type_of(value).shape) != 3:
            return None
        add = site.graph.producer(value)
        if add is None:
            return f"{value} comes from outside the graph, its sum is in another layer"
        if add.op == "add_norm":
            return f"{add.name} has its norm already"
        if add.op != "add":
            return f"{value} is no sum but comes from {add.op}"
        if site.type_of(add.inputs[0]) != site.type_of(add.inputs[1]):
            return f"{add.name} broadcasts"
        fields = {**ops.get(norm.op).fields, **norm.attrs}
        attrs = {"left": add.attrs.get("left", 1), "right": add.attrs.get("right", 1), "norm": norm.op, **fields}
        joined = Node("add_norm", add.inputs, (add.name, norm.name), attrs, norm.params)
        return Replacement((add.name, norm.name), (joined,))
