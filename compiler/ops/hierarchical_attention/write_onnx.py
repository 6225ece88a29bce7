"""Plain arithmetic, level by level up to the longest sequence that the spec speaks of.

A level has as many rows as stand for tokens, filled up to whole pairs of blocks; rows that stand for none count
nothing. Levels that a shorter sequence does not reach are multiplied by 0.
"""

import numpy as np

from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.ir.types import Dim
from compiler.ops.hierarchical_attention.shape import padded

FIELDS = ("block", "coarsest", "scale", "eps", "at_least")
NOTHING = float(np.finfo(np.float32).min)  # as a score


def write(w: Writer, node: Node) -> str:
    attrs, (q, k, v, mask) = node.attrs, w.inputs
    if not w.max_length:
        w.refuse("the number of levels depends on the longest sequence, and the spec has no max_length")
    symbol, d = w.types[0].shape[2], int(w.types[0].shape[3])
    block, rows, last = attrs["block"], attrs["block"] * attrs.get("coarsest", 4), padded(w.max_length, attrs)
    real = w.shared(key_of("real rows", mask, [symbol]), lambda m: _real(m, mask, symbol))
    q, k, v = w.op("Mul", q, w.number(attrs["scale"])), w.op("Mul", k, real), w.op("Mul", v, real)
    values, weights = _spread(w, _level(w, q, k, v, real, block, d, False), 1, d, symbol)
    group = 1
    while True:
        more = _spread(w, _level(w, q, k, v, real, block, d, True), group, d, symbol)
        if group > 1:
            reached = _more_than(w, symbol, rows // 2)
            more = w.op("Mul", more[0], reached), w.op("Mul", more[1], reached)
        values, weights = w.op("Add", values, more[0]), w.op("Add", weights, more[1])
        if rows == last:
            return w.float(w.op("Div", values, w.op("Add", weights, w.single(attrs.get("eps", 1e-8)))))
        q, k, v, real = _halved(w, q, k, v, real, d)
        rows, group = rows * 2, group * 2


def _real(m: Writer, mask: str, symbol: Dim) -> str:
    """(B|1, 1, S, 1): 1 at tokens, 0 at padding."""
    if mask:
        return m.op("Unsqueeze", m.float(m.cast(mask, "bool")), m.ints(1, 3))
    return m.op("Expand", m.number(1.0), m.op("Concat", m.ints(1, 1), m.length(symbol), m.ints(1), axis=0))


def _more_than(w: Writer, symbol: Dim, tokens: int) -> str:
    """1 for a sequence of more tokens, else 0."""

    def build(m: Writer) -> str:
        return m.cast(m.op("Greater", m.length(symbol), m.ints(tokens)), "fp32")

    return w.shared(f"more than {tokens} {symbol}", build)


def _halved(w: Writer, q: str, k: str, v: str, real: str, d: int) -> tuple[str, str, str, str]:
    """Pairs of rows made one: the mean of real queries and keys, the sum of values, and whether one is real."""
    count = w.shared(f"real of pairs {real}", lambda m: _pair_sums(m, real, real, 1))
    divisor = w.shared(f"at least one {count}", lambda m: m.op("Max", count, m.number(1.0)))
    q, k = (w.op("Div", _pair_sums(w, x, real, d), divisor) for x in (w.op("Mul", q, real), k))
    return q, k, _pair_sums(w, v, real, d), w.shared(f"any of {count}", lambda m: m.op("Min", count, m.number(1.0)))


def _pair_sums(w: Writer, x: str, real: str, width: int) -> str:
    """x (B, H, R, width) -> (B, H, R / 2, width) rounded up; `real` has as many rows."""
    pairs = w.op("Reshape", _filled(w, x, real, 2), w.ints(0, 0, -1, 2, width))
    return w.op("ReduceSum", pairs, w.ints(3), keepdims=0)


def _filled(w: Writer, x: str, real: str, to: int) -> str:
    """x (B, H, R, D) with rows of zeros up to a multiple of `to`."""

    def room(m: Writer) -> str:
        rows = m.op("Mod", m.op("Neg", m.op("Shape", real, start=2, end=3)), m.ints(to))  # the divisor's sign
        return m.op("Concat", m.ints(0), rows, axis=0)

    return w.op("Pad", x, w.shared(f"room {real} {to}", room), w.number(0.0), w.ints(2))


def _level(w: Writer, q: str, k: str, v: str, real: str, block: int, d: int, neighbours: bool) -> tuple[str, str]:
    """Sums of weighted values (B, H, R, D) and of weights (B, H, R, 1), in fp32; R is filled up to pairs of blocks."""

    def seen(m: Writer) -> str:
        rows = m.op("Reshape", _filled(m, real, real, 2 * block), m.ints(0, 0, -1, 2, 1, block))
        return m.op("Greater", m.op("Gather", rows, m.ints(1, 0), axis=3) if neighbours else rows, m.number(0.0))

    q, k, v = (w.op("Reshape", _filled(w, x, real, 2 * block), w.ints(0, 0, -1, 2, block, d)) for x in (q, k, v))
    if neighbours:
        k, v = (w.op("Gather", x, w.ints(1, 0), axis=3) for x in (k, v))
    visible = w.shared(f"seen {real} {block} {neighbours}", seen)  # (B, 1, R / 2·block, 2, 1, block)
    scores = w.cast(w.op("MatMul", q, w.op("Transpose", k, perm=[0, 1, 2, 3, 5, 4])), "fp32")
    scores = w.op("Where", visible, scores, w.single(NOTHING))
    weights = w.op("Exp", w.op("Sub", scores, w.op("ReduceMax", scores, w.ints(-1), keepdims=1)))
    weights = w.op("Where", visible, weights, w.single(0.0))
    values = w.cast(w.op("MatMul", w.float(weights), v), "fp32")
    total = w.op("ReduceSum", weights, w.ints(-1), keepdims=1)
    return w.op("Reshape", values, w.ints(0, 0, -1, d)), w.op("Reshape", total, w.ints(0, 0, -1, 1))


def _spread(w: Writer, sums: tuple[str, str], group: int, d: int, symbol: Dim) -> tuple[str, str]:
    """Every row's sums for all tokens that it stands for: (B, H, R, D) and (B, H, R, 1) -> (B, H, S, ...)."""
    made = []
    for x, width in zip(sums, (d, 1), strict=True):
        if group > 1:
            each = w.op("Expand", w.op("Unsqueeze", x, w.ints(3)), w.ints(1, 1, 1, group, 1))
            x = w.op("Reshape", each, w.ints(0, 0, -1, width))
        made.append(w.op("Slice", x, w.ints(0), w.length(symbol), w.ints(2)))
    return made[0], made[1]
