"""Places from the number of each query, worked out once for all layers; of a whole sequence only."""

from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.ir.types import Dim
from compiler.ops.base import Attrs
from compiler.ops.slot_places.shape import in_view

FIELDS = ("segment", "after", "slots", "rate", "align")


def write(w: Writer, node: Node) -> tuple[str, str, str]:
    attrs, (batch, rows), number = node.attrs, w.types[0].shape[:2], w.types[1].shape[1]
    key = key_of(dict(attrs), [batch, rows, number])

    def near(m: Writer) -> str:
        """Of tokens that left the memory only the slots count."""
        i = counted(m, rows)
        _, gone = evicted(m, i, attrs)
        return m.op("Add", m.op("Sub", i, gone), m.op("Div", gone, m.whole(attrs["rate"])))

    def shift(m: Writer) -> str:
        """What is missing to a full view."""
        start, gone = evicted(m, counted(m, rows), attrs)
        made = m.op("Min", m.op("Div", gone, m.whole(attrs["rate"])), m.whole(attrs["slots"]))
        held = m.op("Add", made, m.op("Min", start, m.whole(attrs["after"])))
        return m.op("Sub", m.whole(in_view(attrs) - attrs["segment"]), held)

    places = w.shared(f"near slots {key}", near)
    if attrs.get("align", "query") == "oldest":
        shifts = w.shared(f"shift of slots {key}", shift)
        places = w.shared(f"shifted near slots {key}", lambda m: m.op("Add", places, shifts))
    else:
        shifts = w.shared(f"no shift {key}", lambda m: m.op("Mul", places, m.whole(0)))
    found = (shifts, places, w.shared(f"slots {key}", lambda m: counted(m, number)))
    return tuple(_in_each_row(w, x, batch) for x in found)  # type: ignore[return-value]


def counted(m: Writer, rows: Dim) -> str:
    """0, 1, ... (rows,)"""
    return m.op("Range", m.whole(0), m.scalar(m.length(rows)), m.whole(1))


def evicted(m: Writer, i: str, past: Attrs) -> tuple[str, str]:
    """Where the segment of query i begins, and how many tokens had left the memory by then."""
    segment = m.whole(past["segment"])
    start = m.op("Mul", m.op("Div", i, segment), segment)
    return start, m.op("Max", m.op("Sub", start, m.whole(past["after"])), m.whole(0))


def _in_each_row(w: Writer, x: str, batch: Dim) -> str:
    return w.shared(
        key_of("each row", x), lambda m: m.op("Expand", x, m.op("Concat", m.length(batch), m.ints(1), axis=0))
    )
