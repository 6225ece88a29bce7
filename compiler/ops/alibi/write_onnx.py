"""Slope of the head times the key's count among unmasked keys: (B, H, 1, T)."""

import numpy as np

from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.ops.alibi.shape import NARROW, slopes

FIELDS = ("heads", "max_bias", "computed_in", "stride")


def write(w: Writer, node: Node) -> str:
    mask = w.inputs[0]
    return w.shared(key_of("alibi", mask, dict(node.attrs)), lambda m: _bias(m, node, mask))


def _bias(m: Writer, node: Node, mask: str) -> str:
    narrow = node.attrs.get("computed_in")
    counts = m.op("Mul", m.op("Sub", m.op("CumSum", mask, m.whole(1)), m.whole(1)), mask)
    if (stride := node.attrs.get("stride", 1)) != 1:
        counts = m.op("Mul", counts, m.whole(stride))
    place = m.op("Unsqueeze", m.cast(counts, "fp32"), m.ints(1, 2))  # (B, 1, 1, T)
    slope = np.array(slopes(node.attrs["heads"], node.attrs.get("max_bias", 8)), np.float32)[:, None, None]
    rates = m.single(slope)
    if narrow not in NARROW:
        return m.float(m.op("Mul", rates, place))

    # A product of two such numbers is exact in fp32, so rounding it once more is the narrow type's arithmetic.
    def rounded(x: str) -> str:
        return m.cast(m.cast(x, narrow), "fp32")

    return m.float(rounded(m.op("Mul", rounded(rates), rounded(place))))
