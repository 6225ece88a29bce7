"""act(linear x) · linear x, gate and up of one input -> one linear and a gated activation."""

from dataclasses import dataclass
from typing import ClassVar

from compiler.ir.graph import Node
from compiler.passes.packing import against, packed, packed_path
from compiler.passes.rewrite import Answer, LocalPass, Replacement, Site


@dataclass(frozen=True)
class GateUpPacking(LocalPass):
    name: ClassVar[str] = "gate_up_packing"
    anchors: ClassVar[tuple[str, ...]] = ("mul",)

    def at(self, site: Site) -> Answer:
        left, right = site.node.inputs
        if site.producer(left, "activation") is None:
            left, right = right, left
        activation = site.producer(left, "activation")
        if activation is None:
            return None
        linears = []
        for part, value in (("gate", activation.inputs[0]), ("up", right)):
            node = site.graph.producer(value)
            if node is None or node.op != "linear":
                return f"the {part} comes from {f'{node.name} ({node.op})' if node else value}, not a linear"
            linears.append(node)
        for value in (left, activation.inputs[0], right):
            if not site.graph.used_once(value):
                return f"{value} is read elsewhere too"
        gate, up = linears
        if gate.attrs["width"] != up.attrs["width"]:
            return f"{gate.name} has width {gate.attrs['width']}, {up.name} {up.attrs['width']}"
        if reason := against(site, linears):
            return reason
        joined, params, recipes = packed(site, linears, packed_path([gate.name, up.name]))
        function = activation.attrs["function"]
        gated = Node("gated_activation", joined.outputs, site.node.outputs, {"function": function})
        removed = (gate.name, up.name, activation.name, site.node.name)
        return Replacement(removed, (joined, gated), params=params, recipes=recipes)
