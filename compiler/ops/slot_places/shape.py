"""Places of queries and compressed slots, by which both count distances in rows of what is in view.

What query i of segment s = i // segment sees, oldest first: the last `slots` compressed slots, the `after` tokens
before its segment, its segment so far; a slot takes the place of one token. Inputs: rows (B, S, ...), slots (B, Z,
...). Outputs: shift (B, S), what is added to a query's distance to a token; near (B, S), the query's place beside slot
numbers; number (B, Z) of each slot: near - number is the distance to a slot.

align "query": distances count back from the query, shift is 0. "oldest": while memory still fills, all distances grow
by what is missing, so that the oldest row in view always stands where the oldest of a full memory will
(compressive-transformer-pytorch, which reads its table of positions from that end).
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Op


class SlotPlaces(Op):
    name = "slot_places"
    saves = ()
    fields = {"segment": REQUIRED, "after": REQUIRED, "slots": REQUIRED, "rate": REQUIRED, "align": "query"}
    n_inputs = (2, 2)

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        queries, slots = (TensorType("int", x.shape[:2]) for x in inputs)
        return queries, queries, slots


def in_view(attrs: Attrs) -> int:
    """Rows in view at the end of a segment, once memory is full."""
    return int(attrs["slots"] + attrs["after"] + attrs["segment"])


OP = SlotPlaces()
