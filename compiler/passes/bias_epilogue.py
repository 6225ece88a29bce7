"""linear, then bias -> linear with its bias."""

from dataclasses import dataclass
from typing import ClassVar

from compiler.passes.rewrite import Answer, LocalPass, Site


@dataclass(frozen=True)
class BiasEpilogue(LocalPass):
    name: ClassVar[str] = "bias_epilogue"
    anchors: ClassVar[tuple[str, ...]] = ("bias",)

    def at(self, site: Site) -> Answer:
        bias = site.node
        linear = site.producer(bias.inputs[0], "linear")
        if linear is None:
            return "the bias follows no linear"
        if linear.attrs.get("bias"):
            return f"{linear.name} has a bias already"
        if linear.attrs.get("activation"):
            return f"{linear.name} applies {linear.attrs['activation']} before the bias"
        if not site.graph.used_once(linear.name):
            return f"{linear.name} is also read without the bias"
        attrs = {**linear.attrs, "bias": True}
        return site.joined(bias, linear.with_(attrs=attrs, params={**linear.params, "bias": bias.params["bias"]}))
