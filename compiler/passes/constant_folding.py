"""Arithmetic with constants is done now: steps that change nothing go, factors meet.

x·1 + 0 = x; joins and splits of one go; (x·a + p)·b + q = x·ab + (pb + q); r + b·(x·a) = r + ba·x.
"""

from dataclasses import dataclass
from typing import ClassVar

from compiler.ir.graph import Node
from compiler.passes.rewrite import Answer, LocalPass, Replacement, Site


@dataclass(frozen=True)
class ConstantFolding(LocalPass):
    name: ClassVar[str] = "constant_folding"
    anchors: ClassVar[tuple[str, ...]] = ("scale", "add", "concat", "split")

    def at(self, site: Site) -> Answer:
        node = site.node
        if _changes_nothing(node):
            if site.named_outside(node.name):
                return f"{node.name} is an output of the model"
            return Replacement((node.name,), rename={node.name: node.inputs[0]})
        if node.op == "scale":
            return _scales(site, node)
        return _into_sum(site, node) if node.op == "add" else None


def _changes_nothing(node: Node) -> bool:
    match node.op:
        case "scale":
            return bool(node.attrs["by"] == 1 and node.attrs.get("plus", 0) == 0)
        case "concat":
            return len(node.inputs) == 1
        case "split":
            return len(node.outputs) == 1
    return False


def _scales(site: Site, outer: Node) -> Answer:
    inner = site.producer(outer.inputs[0], "scale")
    if inner is None:
        return None
    if not site.graph.used_once(inner.name):
        return f"{inner.name} is read elsewhere too"
    by, plus = outer.attrs["by"], outer.attrs.get("plus", 0)
    attrs = {"by": inner.attrs["by"] * by, "plus": inner.attrs.get("plus", 0) * by + plus}
    joined = outer.with_(inputs=inner.inputs, attrs=attrs)
    return Replacement((inner.name, outer.name), (joined,))


def _into_sum(site: Site, add: Node) -> Answer:
    reason = None
    for side, value in zip(("left", "right"), add.inputs, strict=True):
        scale = site.producer(value, "scale")
        if scale is None:
            continue
        if scale.attrs.get("plus", 0):
            reason = f"{scale.name} also adds a constant"
        elif not site.graph.used_once(value):
            reason = f"{value} is read elsewhere too"
        else:
            inputs = tuple(scale.inputs[0] if v == value else v for v in add.inputs)
            attrs = {**add.attrs, side: add.attrs.get(side, 1) * scale.attrs["by"]}
            return Replacement((scale.name, add.name), (add.with_(inputs=inputs, attrs=attrs),))
    return reason
