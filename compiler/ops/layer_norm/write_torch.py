"""`layer_norm` in PyTorch."""

from collections.abc import Mapping
from typing import Any

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def call(w: Writer, x: str, width: int, attrs: Mapping[str, Any], weight: str, bias: str) -> str:
    """The norm of expression x; weight and bias are expressions, "" where there is none."""
    if attrs.get("gain") == "one_plus":
        weight = f"1 + {weight}"
    groups = attrs.get("groups", 1)
    if attrs.get("eps_at") == "outside":
        w.helper("layer_norm_outside", "compiler.ops.layer_norm.torch_helpers")
        more = f", {groups}" if groups > 1 else ""
        return f"layer_norm_outside({x}, {weight or None}, {bias or None}, {attrs['eps']!r}{more})"
    if groups > 1:  # statistics over slices of the width, the gain and bias over all of it
        rows = f"{x}.reshape(-1, {width})"
        return f"F.group_norm({rows}, {groups}, {weight or None}, {bias or None}, {attrs['eps']!r}).view_as({x})"
    return f"F.layer_norm({x}, ({width},), {weight or None}, {bias or None}, {attrs['eps']!r})"


def write(w: Writer, node: Node) -> None:
    weight, bias = (w.param(node, role) if role in node.params else "" for role in ("weight", "bias"))
    width = int(w.type(node.inputs[0]).shape[-1])
    w.set(node, call(w, w.read(node, 0), width, node.attrs, weight, bias), keeps=0)
