"""Norms inside fused operators: which there are, and their fields written out."""

from typing import Any

from compiler import ops
from compiler.ir.graph import Node

NORMS = ("rms_norm", "layer_norm")
FIELDS = ("eps", "gain", "bias", "eps_at", "at_least")  # what a fused operator can say about its norm


def fused_fields(norm: Node) -> dict[str, Any]:
    """{"norm": operator, its fields}, the shape that fused operators hold."""
    given = {**ops.get(norm.op).fields, **norm.attrs}
    return {"norm": norm.op, **{name: given[name] for name in FIELDS}}


def against_fusing(norm: Node) -> str | None:
    """The field that a fused operator has no word for, or None."""
    for name, default in ops.get(norm.op).fields.items():
        if name not in FIELDS and norm.attrs.get(name, default) != default:
            return f"{norm.name} has {name} {norm.attrs[name]}"
    return None
