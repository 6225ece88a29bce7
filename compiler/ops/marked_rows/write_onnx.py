"""Rows with a visible key, worked out once for all layers."""

from compiler.emit.onnx.masks import Rows, visible
from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.ir.types import Dim

FIELDS = ("mask", "mask_inputs")


def write(w: Writer, node: Node) -> str:
    _, _, real, *given = w.inputs
    names = node.attrs.get("mask_inputs", [])
    own = node.inputs[0] == node.inputs[1]  # of all tokens so far the last ones are here
    total = w.key_length(w.types[1], axis=1) if own else w.types[1].shape[1]
    rows = Rows(w.types[0].shape[1], total, dict(zip(names, given, strict=True)))
    seen = visible(w, node.attrs["mask"], rows, real)  # (1|B, 1|H, S, T)
    batch = w.types[0].shape[0]
    return w.shared(key_of("rows that see", seen, [batch]), lambda m: _some(m, seen, batch))


def _some(m: Writer, seen: str, batch: Dim) -> str:
    some = m.op("ReduceMax", m.cast(seen, "int32"), m.ints(1, 3), keepdims=0)  # (1|B, S)
    return m.cast(m.op("Expand", some, m.op("Concat", m.length(batch), m.ints(1), axis=0)), "bool")
