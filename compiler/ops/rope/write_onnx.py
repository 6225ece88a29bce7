"""RotaryEmbedding over cos and sin tables by position, or over the positions' angles where there is no max_length.

The tables are worked out in float64, so far positions lose nothing to a float32 product.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from compiler.emit.onnx.sheet import Array
from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.ops.base import Attrs
from compiler.ops.rope.frequencies import frequencies

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
    """cos and sin (max_length, dims/2) with the scaling's gain, or None where the length is unknown."""
    length = attrs.get("max_length") or w.max_length
    if not length:
        return None
    inverse, gain = frequencies(attrs)

    def part(m: Writer, function: Callable[[Array], Array]) -> str:
        return m.table(function(np.arange(length)[:, None] * np.array(inverse)) * gain)

    key = key_of("rotary_table", dict(attrs), [length])
    return w.shared(f"{key} cos", lambda m: part(m, np.cos)), w.shared(f"{key} sin", lambda m: part(m, np.sin))


def computed(w: Writer, attrs: Attrs, positions: str) -> tuple[str, str]:
    """cos and sin (B, S, dims/2) of the positions, in fp32."""
    inverse, gain = frequencies(attrs)

    def part(m: Writer, function: str) -> str:
        angle = m.op("Mul", m.op("Unsqueeze", m.cast(positions, "fp32"), m.ints(-1)), m.single(inverse))
        return m.float(m.op("Mul", m.op(function, angle), m.single(gain)))

    key = key_of("rotary", dict(attrs), positions)
    return w.shared(f"{key} cos", lambda m: part(m, "Cos")), w.shared(f"{key} sin", lambda m: part(m, "Sin"))
