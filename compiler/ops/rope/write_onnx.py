"""RotaryEmbedding over cos and sin tables by position, or over the positions' angles where a table would be too long.

Angles are worked out in float64, so far positions lose nothing to a float32 product.
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
from compiler.ops.rope.frequencies import frequencies

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
    """cos and sin (max_length, dims/2) with the scaling's gain; None where the length is unknown or very large."""
    length = attrs.get("max_length") or w.max_length
    if not 0 < length <= LONGEST_TABLE:
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
    inverse, gain = frequencies(attrs)
    turn = 2 * math.pi

    def part(m: Writer, function: str) -> str:
        place = m.op("Unsqueeze", m.cast(positions, "fp64"), m.ints(-1))
        turns = m.op("Mul", place, m.numbers(np.array(inverse) / turn, "fp64"))
        angle = m.op("Mul", m.op("Sub", turns, m.op("Floor", turns)), m.numbers(turn, "fp64"))
        return m.float(m.op("Mul", m.op(function, m.cast(angle, "fp32")), m.single(gain)))

    key = key_of("rotary", dict(attrs), positions)
    return w.shared(f"{key} cos", lambda m: part(m, "Cos")), w.shared(f"{key} sin", lambda m: part(m, "Sin"))
