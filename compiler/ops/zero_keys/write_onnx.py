"""Rows of zeros before the first token, and who sees them."""

from compiler.emit.onnx.masks import Rows, visible_before
from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.ir.types import TensorType

FIELDS = ("count", "heads", "d_key", "d_value", "mask")


def write(w: Writer, node: Node) -> tuple[str, ...]:
    attrs, (batch, rows) = node.attrs, w.types[0].shape[:2]
    total, count = "T" if rows == "S" and w.sheet.stepping else rows, attrs["count"]
    made = []
    for width in (attrs["d_key"], attrs["d_value"]):
        type_ = TensorType("float", (batch, attrs["heads"], count, width))
        made.append(_zeros(w, type_))

    def queries(m: Writer) -> str:
        end = m.length(total)
        i = m.op("Range", m.scalar(m.op("Sub", end, m.length(rows))), m.scalar(end), m.whole(1))
        return m.op("Expand", i, m.op("Concat", m.length(batch), m.ints(1), axis=0))

    def places(m: Writer) -> str:
        return m.op("Expand", m.ints(*range(-count, 0)), m.op("Concat", m.length(batch), m.ints(1), axis=0))

    made.append(w.shared(key_of("places of queries", [batch, rows, total]), queries))
    made.append(w.shared(key_of("places before", [batch, count]), places))
    return *made, visible_before(w, attrs["mask"], Rows(rows, total, {}), count)


def _zeros(w: Writer, type_: TensorType) -> str:
    return w.shared(key_of("zeros", list(type_.shape), type_.dtype), lambda m: m.zeros(type_))
