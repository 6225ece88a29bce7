"""RotaryEmbedding over cos and sin tables by position, or over the positions' angles where a table would be too long.

Angles are worked out in float64, so far positions lose nothing to a float32 product.

A graph takes texts up to the spec's max_length. Where none is so long that its frequencies are others, there is a table
of one kind. Else they follow the number of rows, and the graph takes whole texts: a past has no room that told how long
its text will be (`compiler.emit.onnx.steps`).
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from compiler.emit.onnx.sheet import Array
from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.ops.base import Attrs
from compiler.ops.rope.frequencies import frequencies, original_length, powers

LONGEST_TABLE = 2**18  # rows; two tables of 64 columns are 134 MB in fp32
FIELDS = ("theta", "dims", "pairing", "offset", "ladder", "scaling", "max_length", "at_least")


def write(w: Writer, node: Node) -> str:
    x, positions = w.inputs
    return rotate(w, x, positions, node.attrs, int(w.types[0].shape[-1]))


def rotate(w: Writer, x: str, positions: str, attrs: Attrs, width: int) -> str:
    """x (B, heads, S, width) with the slice [offset, offset + dims) turned."""
    start, dims = attrs.get("offset", 0), attrs["dims"]
    interleaved = int(attrs.get("pairing", "half") == "interleaved")
    fields: dict[str, Any] = {"interleaved": interleaved, "rotary_embedding_dim": 0 if dims == width - start else dims}
    angles = tables(w, attrs)
    given = (*angles, positions) if angles else computed(w, attrs, positions)
    if not start:
        return w.op("RotaryEmbedding", x, *given, **fields)
    before, rest = w.many("Split", x, w.ints(start, width - start), outputs=2, axis=-1)
    return w.op("Concat", before, w.op("RotaryEmbedding", rest, *given, **fields), axis=-1)


def tables(w: Writer, attrs: Attrs) -> tuple[str, str] | None:
    """cos and sin (max_length, dims/2) with the scaling's gain; None where the length is unknown or very large, or they
    follow the text's."""
    length = attrs.get("max_length") or w.max_length
    if not 0 < length <= LONGEST_TABLE or length > (original_length(attrs) or length):
        return None

    def part(function: Callable[[Array], Array]) -> str:
        key = key_of("rotary", function.__name__, dict(attrs), [length])
        return w.table(key, (length, attrs["dims"] // 2), partial(values, function, dict(attrs), length))

    return part(np.cos), part(np.sin)


def values(function: Callable[[Array], Array], attrs: Attrs, length: int) -> Array:
    """function(angle)·gain of every position and pair, float64."""
    inverse, gain = frequencies(attrs)
    return function(np.arange(length)[:, None] * np.array(inverse)) * gain


def computed(w: Writer, attrs: Attrs, positions: str) -> tuple[str, str]:
    """cos and sin (B, S, dims/2) of the positions. Angles are cut to one turn in fp64, or far ones would be blurred."""
    _, gain = frequencies(attrs)
    turn = 2 * math.pi

    def part(m: Writer, function: str) -> str:
        place = m.op("Unsqueeze", m.cast(positions, "fp64"), m.ints(-1))
        turns = m.op("Mul", place, _turns(m, attrs, positions))
        angle = m.op("Mul", m.op("Sub", turns, m.op("Floor", turns)), m.numbers(turn, "fp64"))
        return m.float(m.op("Mul", m.op(function, m.cast(angle, "fp32")), m.single(gain)))

    key = key_of("rotary", dict(attrs), positions)
    return w.shared(f"{key} cos", lambda m: part(m, "Cos")), w.shared(f"{key} sin", lambda m: part(m, "Sin"))


def _turns(m: Writer, attrs: Attrs, positions: str) -> str:
    """Turns from one position to the next (dims/2,) in fp64."""

    def of(length: int) -> str:
        return m.numbers(np.array(frequencies(attrs, length)[0]) / (2 * math.pi), "fp64")

    original = original_length(attrs)
    if original is None or 0 < (attrs.get("max_length") or m.max_length) <= original:
        return of(0)
    rows = m.op("Shape", positions, start=1, end=2)
    if attrs["scaling"]["type"] == "by_length":
        return m.op("Where", m.op("Greater", rows, m.ints(original)), of(original + 1), of(original))
    more = m.op("Sub", m.cast(m.op("Max", rows, m.ints(original)), "fp64"), m.numbers([original], "fp64"))
    grown = m.op("Mul", more, m.numbers([attrs["scaling"]["factor"] / original], "fp64"))
    base = m.op("Add", grown, m.numbers([1.0], "fp64"))
    return m.op("Div", of(original), m.op("Pow", base, m.numbers(powers(attrs), "fp64")))
