"""Plain arithmetic: the scores are read twice, by a softmax and for the importance of blocks.

What is visible, and which blocks may be selected, is worked out once for all layers.
"""

import numpy as np

from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.ir.types import Dim
from compiler.ops.base import Attrs
from compiler.ops.compress_blocks.write_onnx import slots, tokens

FIELDS = ("block", "stride", "select", "share", "learned", "scale", "at_least")
NOTHING = float(np.finfo(np.float32).min)  # as a score


def write(w: Writer, node: Node) -> tuple[str, str]:
    attrs, (q, k, v, mask) = node.attrs, w.inputs
    (_, heads, symbol, d), groups = w.types[0].shape, int(w.types[1].shape[1])
    key = key_of("blocks seen", mask, [symbol, attrs["block"], attrs["stride"]])
    seen = w.shared(key, lambda m: _visible(m, mask, symbol, attrs))  # (B|1, 1, S, N)
    q = w.op("Reshape", w.op("Mul", q, w.number(attrs["scale"])), w.ints(0, groups, int(heads) // groups, -1, int(d)))
    scores = _scores(w, q, w.op("Unsqueeze", k, w.ints(2)))  # (B, G, H/G, S, N)
    hidden = w.op("Where", w.op("Unsqueeze", seen, w.ints(2)), scores, w.single(NOTHING))
    v = w.op("Unsqueeze", v, w.ints(2))
    # A first key that no row can do without: the learned ones, or one of no value that stands for none.
    count = attrs.get("learned", 0)
    if count:
        own_k, own_v = (w.op("Unsqueeze", w.param(f"learned_{role}"), w.ints(0, 2)) for role in "kv")
        first = _scores(w, q, own_k)
        sizes = w.op("Concat", w.op("Shape", v, start=0, end=1), w.ints(1, 1, 1, 1), axis=0)
        v = w.op("Concat", w.op("Expand", own_v, sizes), v, axis=3)
    else:
        first = w.op("Mul", w.op("Slice", w.cast(q, "fp32"), w.ints(0), w.ints(1), w.ints(-1)), w.single(0.0))
        first = w.op("Add", first, w.single(NOTHING))
    shares = w.op("Softmax", w.op("Concat", first, hidden, axis=-1), axis=-1)
    if not count:
        shares = w.op("Slice", shares, w.ints(1), w.ints(2**31 - 1), w.ints(-1))
        shares = w.op("Where", w.op("Unsqueeze", seen, w.ints(2)), shares, w.single(0.0))
    y = w.op("Reshape", w.op("MatMul", w.float(shares), v), w.ints(0, int(heads), -1, int(d)))
    if attrs.get("share", "head") == "kv_group":
        scores = w.op("ReduceMean", scores, w.ints(2), keepdims=0)
    else:
        sizes = w.op("Concat", w.op("Shape", w.inputs[0], end=3), w.op("Shape", scores, start=4), axis=0)
        scores = w.op("Reshape", scores, sizes, allowzero=1)
    return y, _importance(w, scores, seen, symbol, attrs)


def _scores(w: Writer, q: str, k: str) -> str:
    return w.cast(w.op("MatMul", q, w.op("Transpose", k, perm=[0, 1, 2, 4, 3])), "fp32")


def _importance(w: Writer, scores: str, seen: str, symbol: Dim, attrs: Attrs) -> str:
    """Mean scores (B, C, S, N) of the visible compressed keys that end in each block: (B, C, S, n).

    Worked out for one block more, so that there is one.
    """
    inside, select = attrs["select"] // attrs["stride"], attrs["select"]

    def sizes(m: Writer) -> str:
        return m.op("Add", m.op("Div", tokens(m, symbol), m.whole(select)), m.ints(1))

    count = w.shared(f"blocks and one {symbol} {select}", sizes)

    def grouped(m: Writer, x: str, nothing: str) -> str:
        room = m.op("Sub", m.op("Mul", count, m.ints(inside)), m.op("Shape", x, start=3))
        x = m.op("Pad", x, m.op("Concat", m.ints(0), room, axis=0), nothing, m.ints(3))
        return m.op("Reshape", x, m.op("Concat", m.op("Shape", x, end=3), count, m.ints(inside), axis=0))

    key = key_of(seen, [select, attrs["stride"]])
    shown = w.shared(f"grouped {key}", lambda m: grouped(m, m.cast(seen, "fp32"), m.single(0.0)))
    found = w.shared(f"found {key}", lambda m: m.op("ReduceSum", shown, m.ints(-1), keepdims=0))
    total = w.op("ReduceSum", w.op("Mul", shown, grouped(w, scores, w.single(0.0))), w.ints(-1), keepdims=0)
    mean = w.op("Div", total, w.shared(f"at least one {key}", lambda m: m.op("Max", found, m.single(1.0))))
    some = w.shared(f"some {key}", lambda m: m.op("Greater", found, m.single(0.0)))
    mean = w.op("Where", some, mean, w.single(-np.inf))
    mean = w.op("Slice", mean, w.ints(0), w.ints(-1), w.ints(3))
    whole = w.shared(f"whole {symbol} {select}", lambda m: _whole(m, symbol, select))
    return w.op("Where", whole, mean, w.single(-np.inf))


def _whole(m: Writer, symbol: Dim, select: int) -> str:
    """(S, n): blocks that lie wholly before each query."""
    return m.op("LessOrEqual", _ends(m, symbol, select), slots(m, symbol))


def _visible(m: Writer, mask: str, symbol: Dim, attrs: Attrs) -> str:
    """(B|1, 1, S, N): strides that lie wholly before each query, but for blocks of padding alone."""
    ends = _ends(m, symbol, attrs["stride"])
    seen = m.op("Unsqueeze", m.op("LessOrEqual", ends, slots(m, symbol)), m.ints(0, 1))
    if not mask:
        return seen
    real = m.op("CumSum", m.cast(m.cast(mask, "bool"), "int"), m.whole(1))  # (B, T)
    real = m.op("Pad", real, m.ints(1, 0), m.whole(0), m.ints(1))
    starts = m.op("Max", m.op("Sub", ends, m.whole(attrs["block"])), m.whole(0))
    held = m.op("Greater", m.op("Gather", real, ends, axis=1), m.op("Gather", real, starts, axis=1))
    return m.op("And", seen, m.op("Unsqueeze", held, m.ints(1, 2)))


def _ends(m: Writer, symbol: Dim, stride: int) -> str:
    """The slot after each whole stretch of so many tokens."""

    def build(w: Writer) -> str:
        count = w.op("Div", tokens(w, symbol), w.whole(stride))
        places = w.op("Range", w.whole(1), w.op("Add", count, w.whole(1)), w.whole(1))
        return w.op("Mul", places, w.whole(stride))

    return m.shared(f"ends {symbol} {stride}", build)
