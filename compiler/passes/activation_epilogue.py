"""linear, then an elementwise activation -> linear that applies it."""

from dataclasses import dataclass
from typing import ClassVar

from compiler.passes.rewrite import Answer, LocalPass, Site


@dataclass(frozen=True)
class ActivationEpilogue(LocalPass):
    name: ClassVar[str] = "activation_epilogue"
    anchors: ClassVar[tuple[str, ...]] = ("activation",)

    def at(self, site: Site) -> Answer:
        activation = site.node
        function = activation.attrs["function"]
        linear = site.producer(activation.inputs[0], "linear")
        if linear is None:
            return "the activation follows no linear"
        if function == "softmax":
            return "softmax is not elementwise"
        if linear.attrs.get("activation"):
            return f"{linear.name} applies {linear.attrs['activation']} already"
        if not site.graph.used_once(linear.name):
            return f"{linear.name} is also read without the activation"
        return site.joined(activation, linear.with_(attrs={**linear.attrs, "activation": function}))
