"""Sines and cosines: a table by position, as long as the spec's sequences."""

from functools import partial

import numpy as np

from compiler.emit.onnx.sheet import Array
from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.ops.base import Attrs
from compiler.ops.sinusoid.shape import inverse_frequencies

FIELDS = ("width", "layout", "ladder", "offset")


def write(w: Writer, node: Node) -> str:
    if not w.max_length:
        w.refuse("a table of positions needs the spec's max_length")
    key = key_of("sinusoid", dict(node.attrs), [w.max_length])
    table = w.table(key, (w.max_length, node.attrs["width"]), partial(values, dict(node.attrs), w.max_length))
    return w.op("Gather", table, w.inputs[0], axis=0)


def values(attrs: Attrs, length: int) -> Array:
    """(length, width), float64."""
    positions = np.arange(length) + attrs.get("offset", 0)
    angles = positions[:, None] * np.array(inverse_frequencies(attrs))
    parts = [np.sin(angles), np.cos(angles)]
    if attrs.get("layout") == "halves":
        return np.concatenate(parts, -1)
    return np.stack(parts, -1).reshape(length, -1)
