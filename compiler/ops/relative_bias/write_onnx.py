"""A learned bias by distance: the table's row of every distance is worked out here, the graph only looks it up."""

import math
from typing import Any

import numpy as np

from compiler.emit.onnx.sheet import Array
from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.ir.types import Dim

Spacing = list[list[int]] | None
FIELDS = ("heads", "distance", "spacing")


def write(w: Writer, node: Node) -> str:
    lengths, spacing = (w.types[0].shape[2], w.key_length(w.types[1])), node.attrs.get("spacing")
    rows = pair_rows(w, dict(node.attrs["distance"]), *lengths, spacing)

    def bias(by: Writer) -> str:
        looked_up = by.op("Gather", by.param("weight"), rows, axis=0)  # (S, T, H)
        return by.op("Unsqueeze", by.op("Transpose", looked_up, perm=[2, 0, 1]), by.ints(0))

    table = node.params["weight"]
    # A table that all layers share gives one bias for all of them.
    return bias(w) if table.startswith("{") else w.shared(key_of("relative_bias", table, rows), bias)


def pair_rows(w: Writer, distance: dict[str, Any], new: Dim, total: Dim, spacing: Spacing = None) -> str:
    """Table row of each pair (S, T), worked out once for all layers. spacing: [stride, first] of queries and of keys,
    where these are pooled rows."""
    longest = w.max_length
    if not longest:
        w.refuse("a table of distances needs the spec's max_length")
    key = key_of("distance", distance, [new, total], spacing)
    return w.shared(key, lambda m: _rows(m, distance, new, total, longest, spacing))


def _rows(m: Writer, distance: dict[str, Any], new: Dim, total: Dim, longest: int, spacing: Spacing) -> str:
    """Table row of each pair (S, T): bucket(j - i)."""
    longest += 2 * max(stride for stride, _ in spacing) if spacing else 0  # the last group may be short
    table = m.sheet.constant(buckets(distance, np.arange(1 - longest, longest)))
    end, zero, one = m.scalar(m.length(total)), m.whole(0), m.whole(1)
    i = m.op("Range", m.op("Sub", end, m.scalar(m.length(new))), end, one)
    j = m.op("Range", zero, end, one)
    if spacing:
        count = m.op("Range", zero, m.scalar(m.length(new)), one), j
        i, j = (
            m.op("Add", m.op("Mul", rows, m.whole(stride)), m.whole(first))
            for rows, (stride, first) in zip(count, spacing, strict=True)
        )
    offset = m.op("Sub", m.op("Unsqueeze", j, m.ints(0)), m.op("Unsqueeze", i, m.ints(1)))
    return m.op("Gather", table, m.op("Add", offset, m.whole(longest - 1)), axis=0)


def buckets(distance: dict[str, Any], offset: Array) -> Array:
    """As `meaning.bucket`, the logarithm in float32 as there."""
    match distance["type"]:
        case "clip":
            return np.clip(offset, -distance["left"], distance["right"]) + distance["left"]
        case "exact":
            return np.clip(offset, -distance["max"], distance["max"]) + distance["max"]
    n, first = distance["buckets"], np.zeros_like(offset)
    if distance.get("sides", 2) == 2:
        n //= 2
        first = (offset > 0) * n
        far = np.abs(offset)
    else:
        far = np.maximum(-offset, 0)
    exact = n // 2
    ratio = np.maximum(far, 1).astype(np.float32) / np.float32(exact)
    log = np.log(ratio) / np.float32(math.log(distance["max"] / exact)) * np.float32(n - exact)
    return first + np.where(far < exact, far, np.minimum(exact + log.astype(np.int64), n - 1))
