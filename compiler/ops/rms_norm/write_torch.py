"""`rms_norm` in PyTorch."""

from collections.abc import Mapping
from typing import Any

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def call(w: Writer, x: str, width: int, attrs: Mapping[str, Any], weight: str, bias: str) -> str:
    """The norm of expression x; weight and bias are expressions, "" where there is none."""
    if attrs.get("gain") == "one_plus":
        weight = f"1 + {weight}"
    groups = attrs.get("groups", 1)
    if groups > 1:  # statistics over slices of the width, the gain over all of it
        plain = {**attrs, "groups": 1, "gain": "none"}
        y = call(w, f"{x}.unflatten(-1, ({groups}, -1))", width // groups, plain, "", "")
        y = f"{y}.flatten(-2){f' * ({weight})' if weight else ''}"
    elif attrs.get("eps_at") == "outside":
        w.helper("rms_norm_outside", "compiler.ops.rms_norm.torch_helpers")
        y = f"rms_norm_outside({x}, {weight or None}, {attrs['eps']!r})"
    else:
        y = f"F.rms_norm({x}, ({width},), {weight or None}, {attrs['eps']!r})"
    return f"{y} + {bias}" if bias else y


def write(w: Writer, node: Node) -> None:
    weight, bias = (w.param(node, role) if role in node.params else "" for role in ("weight", "bias"))
    width = int(w.type(node.inputs[0]).shape[-1])
    w.set(node, call(w, w.read(node, 0), width, node.attrs, weight, bias), keeps=0)
