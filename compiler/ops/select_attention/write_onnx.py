"""The standard Attention under a mask that says which blocks were chosen: TopK over their shares, scattered."""

import numpy as np

from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.ir.types import Dim
from compiler.ops.attention.write_onnx import attend, remember
from compiler.ops.compress_blocks.write_onnx import slots, tokens

FIELDS = ("block", "count", "least_share", "scale", "at_least")
STATE = "cache"


def write(w: Writer, node: Node) -> str:
    attrs, (q, k, v, importance, mask) = node.attrs, w.inputs
    (_, heads, symbol, _), (_, groups, _, d) = w.types[0].shape, w.types[1].shape
    if symbol == "S":
        k, v = remember(w, k, v, int(groups), int(d), int(d))
    block, choosers = attrs["block"], int(w.types[3].shape[1])
    chosen = _chosen(w, importance, symbol, attrs["count"], attrs.get("least_share", 0.0), block)
    if choosers < int(heads):
        chosen = w.op("Gather", chosen, w.numbers(np.arange(int(heads)) // (int(heads) // choosers), "int"), axis=1)
    key = key_of("block of keys", [symbol, block])
    seen = w.op("Gather", chosen, w.shared(key, lambda m: m.op("Div", _keys(m, symbol), m.whole(block))), axis=3)
    seen = w.op("And", seen, w.shared(key_of("up to the query", mask, [symbol]), lambda m: _before(m, mask, symbol)))
    return attend(w, q, k, v, seen, (), attrs["scale"], None, int(heads) // int(groups))


def _chosen(w: Writer, importance: str, symbol: Dim, count: int, least: float, block: int) -> str:
    """(B, C, S, blocks + 1) bool: the most important blocks and the own one; the last is none."""
    sizes = w.op("Concat", w.op("Shape", importance, end=3), w.ints(1), axis=0)
    padded = w.op("Concat", importance, w.op("Expand", w.single(-np.inf), sizes), axis=-1)  # never without a block
    most = w.op("Max", w.op("ReduceMax", padded, w.ints(-1), keepdims=1), w.single(float(np.finfo(np.float32).min)))
    weights = w.op("Exp", w.op("Sub", padded, most))
    total = w.op("Max", w.op("ReduceSum", weights, w.ints(-1), keepdims=1), w.single(1e-30))
    shares = w.op("Div", weights, total)
    k = w.op("Min", w.op("Shape", shares, start=3), w.ints(count))
    best, index = w.many("TopK", shares, k, outputs=2, axis=-1)
    kept = w.cast(w.op("Greater", best, w.single(least)), "int32")
    own = w.shared(key_of("own block", [symbol, block]), lambda m: _own(m, symbol, block))
    sizes = w.op("Concat", w.op("Shape", importance, end=3), w.op("Shape", own, start=1), axis=0)
    nothing = w.op("Expand", w.whole(0, "int32"), sizes)
    found = w.op("ScatterElements", nothing, index, kept, axis=3)
    return w.op("Or", w.cast(found, "bool"), own)


def _keys(m: Writer, symbol: Dim) -> str:
    return m.shared(f"keys {symbol}", lambda w: w.op("Range", w.whole(0), tokens(w, symbol), w.whole(1)))


def _own(m: Writer, symbol: Dim, block: int) -> str:
    """(S, blocks + 1): the query's block among all, the last one perhaps not whole, and one more."""
    last = m.op("Div", m.op("Add", tokens(m, symbol), m.whole(block - 1)), m.whole(block))
    numbers = m.op("Range", m.whole(0), m.op("Add", last, m.whole(1)), m.whole(1))
    return m.op("Equal", numbers, m.op("Div", slots(m, symbol), m.whole(block)))


def _before(m: Writer, mask: str, symbol: Dim) -> str:
    """(B|1, 1, S, T): real keys up to the query."""
    seen = m.op("Unsqueeze", m.op("LessOrEqual", _keys(m, symbol), slots(m, symbol)), m.ints(0, 1))
    return m.op("And", seen, m.op("Unsqueeze", m.cast(mask, "bool"), m.ints(1, 2))) if mask else seen
