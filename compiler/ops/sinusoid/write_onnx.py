"""Sines and cosines: a table by position, as long as the spec's sequences."""

import numpy as np

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.sinusoid.shape import inverse_frequencies

FIELDS = ("width", "layout", "ladder", "offset")


def write(w: Writer, node: Node) -> str:
    if not w.max_length:
        w.refuse("a table of positions needs the spec's max_length")
    positions = np.arange(w.max_length) + node.attrs.get("offset", 0)
    angles = positions[:, None] * np.array(inverse_frequencies(node.attrs))  # (max_length, width/2), float64
    parts = [np.sin(angles), np.cos(angles)]
    if node.attrs.get("layout") == "halves":
        table = np.concatenate(parts, -1)
    else:
        table = np.stack(parts, -1).reshape(len(angles), -1)
    return w.op("Gather", w.table(table), w.inputs[0], axis=0)
