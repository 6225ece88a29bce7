"""Attention by hashing as plain arithmetic, with a table of directions; T rows fill whole chunks, R is `rounds`.

Rows are sorted by TopK over bucket·T + place: no two of these are equal, and a sorted one tells its place. Up to one
chunk a round's only chunk holds all rows, and so do those that stand for its neighbours: every key counts as often as
any other, and the dense attention needs no form of its own.
"""

from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.ir.types import Dim
from compiler.ops.base import Attrs
from compiler.ops.lsh_attention.directions import directions
from compiler.ops.lsh_attention.shape import ALONE, HIDDEN

FIELDS = ("chunk", "behind", "ahead", "rounds", "buckets", "seed", "at_least")


def write(w: Writer, node: Node) -> str:
    attrs, (x, v, mask), symbol = node.attrs, w.inputs, w.types[0].shape[2]
    heads, width, v_width = int(w.types[0].shape[1]), int(w.types[0].shape[3]), int(w.types[1].shape[3])
    chunk, rounds = attrs["chunk"], attrs.get("rounds", 1)
    total = w.shared(f"rows in chunks {symbol} {chunk}", lambda m: _up_to(m, m.length(symbol), chunk))
    room = w.op("Concat", w.ints(0), w.op("Sub", total, w.length(symbol)), axis=0)
    real = w.shared(key_of("real rows in chunks", mask, [symbol, chunk]), lambda m: _real(m, mask, symbol, total))
    x, v = (w.op("Pad", given, room, w.number(0.0), w.ints(2)) for given in (x, v))
    ranked, order = _sorted(w, _hashed(w, x, heads, width, attrs), real, total, attrs)
    place = w.op("Mod", ranked, total)  # (B, H, R·T), as are ranked and order
    k = _keys(w, x, width)
    ring = [
        w.op("Reshape", _rows(w, given, place), w.ints(0, 0, -1, chunk, size))
        for given, size in ((x, width), (k, width), (v, v_width))
    ]
    at = w.op("Reshape", place, w.ints(0, 0, -1, chunk))  # (B, H, chunks, chunk)
    k, values, k_at = (_beside(w, given, attrs) for given in (ring[1], ring[2], at))
    seen = w.op("GatherND", real, w.op("Unsqueeze", k_at, w.ints(-1)), batch_dims=1) if mask else ""
    out, weight = _attend(w, ring[0], k, values, at, k_at, seen)
    back = _inverse(w, order)
    out, weight = (
        w.op("Reshape", _rows(w, w.op("Reshape", y, w.ints(0, 0, -1, size)), back), w.ints(0, 0, rounds, -1, size))
        for y, size in ((out, v_width), (weight, 1))
    )
    joined = w.op("Mul", out, w.float(w.op("Softmax", weight, axis=2)))  # (B, H, R, T, D)
    return w.op("Slice", w.op("ReduceSum", joined, w.ints(2), keepdims=0), w.ints(0), w.length(symbol), w.ints(2))


def _up_to(m: Writer, rows: str, chunk: int) -> str:
    """Rows rounded up to whole chunks."""
    return m.op("Add", rows, m.op("Mod", m.op("Neg", rows), m.ints(chunk)))  # Mod takes the divisor's sign


def _real(m: Writer, mask: str, symbol: Dim, total: str) -> str:
    """(B|1, T) bool: no padding, and no row that fills up a chunk."""
    if not mask:
        return m.op("Unsqueeze", m.op("Less", _count(m, total), m.length(symbol)), m.ints(0))
    room = m.op("Concat", m.ints(0), m.op("Sub", total, m.length(symbol)), axis=0)
    marks = m.cast(m.cast(mask, "bool"), "int")
    return m.cast(m.op("Pad", marks, room, m.whole(0), m.ints(1)), "bool")


def _count(m: Writer, end: str) -> str:
    """0, 1, ... up to a vector of one."""
    return m.op("Range", m.whole(0), m.scalar(end), m.whole(1))


def _hashed(w: Writer, x: str, heads: int, width: int, attrs: Attrs) -> str:
    """Every row's bucket (B, H, R, T)."""
    rounds, half = attrs.get("rounds", 1), attrs["buckets"] // 2
    key = key_of("lsh_attention", [heads, width, rounds, half, attrs.get("seed", 0)])
    shape = (heads, width, rounds * half)
    drawn = w.table(key, shape, lambda: directions(heads, width, attrs).reshape(shape))
    turned = w.op("Reshape", w.op("MatMul", x, drawn), w.ints(0, 0, 0, rounds, half))
    both = w.op("Concat", turned, w.op("Neg", turned), axis=-1)
    return w.op("Transpose", w.op("ArgMax", both, axis=-1, keepdims=0), perm=[0, 1, 3, 2])


def _sorted(w: Writer, found: str, real: str, total: str, attrs: Attrs) -> tuple[str, str]:
    """round·(buckets + 1)·T + bucket·T + place in their order, padding last in each round, and where each came from."""
    rounds, count = attrs.get("rounds", 1), attrs["buckets"]
    found = w.op("Where", w.op("Unsqueeze", real, w.ints(1, 2)), found, w.whole(count))
    first = w.ints(*range(0, rounds * (count + 1), count + 1))
    bucket = w.op("Add", found, w.op("Unsqueeze", first, w.ints(1)))
    place = w.shared(key_of("places in chunks", total), lambda m: _count(m, total))
    number = w.op("Reshape", w.op("Add", w.op("Mul", bucket, total), place), w.ints(0, 0, -1))
    every = w.op("Mul", total, w.ints(rounds))
    ranked, order = w.many("TopK", number, every, outputs=2, axis=-1, largest=0, sorted=1)
    return ranked, order


def _keys(w: Writer, x: str, width: int) -> str:
    """Rows over their root mean square and sqrt(D)."""
    square = w.op("ReduceMean", w.op("Mul", x, x), w.ints(-1), keepdims=1)
    root = w.op("Sqrt", w.op("Add", square, w.number(1e-6)))
    return w.op("Div", x, w.op("Mul", root, w.number(width**0.5)))


def _rows(w: Writer, x: str, places: str) -> str:
    """x (B, H, T, D) at places (B, H, N): (B, H, N, D)."""
    return w.op("GatherND", x, w.op("Unsqueeze", places, w.ints(-1)), batch_dims=2)


def _beside(w: Writer, ring: str, attrs: Attrs) -> str:
    """Each chunk's rows (axis 3) with those of the chunks around it; all rounds' chunks (axis 2) form one ring."""
    chunks = w.op("Shape", ring, start=2, end=3)
    own, parts = _count(w, chunks), []
    for shift in range(1 - attrs.get("behind", 1), attrs.get("ahead", 0) + 1):
        moved = w.op("Mod", w.op("Add", own, w.whole(shift)), chunks)
        parts.append(w.op("Gather", ring, moved, axis=2) if shift else ring)
    return w.op("Concat", *parts, axis=3) if len(parts) > 1 else parts[0]


def _attend(w: Writer, q: str, k: str, v: str, at: str, k_at: str, seen: str) -> tuple[str, str]:
    """Outputs, and logarithms of softmax denominators (B, H, chunks, chunk, 1), in fp32."""
    at, k_at = w.op("Unsqueeze", at, w.ints(4)), w.op("Unsqueeze", k_at, w.ints(3))
    visible = w.op("GreaterOrEqual", at, k_at)
    if seen:
        visible = w.op("And", visible, w.op("Unsqueeze", seen, w.ints(3)))
    scores = w.cast(w.op("MatMul", q, w.op("Transpose", k, perm=[0, 1, 2, 4, 3])), "fp32")
    scores = w.op("Where", visible, scores, w.single(HIDDEN))
    scores = w.op("Where", w.op("Equal", at, k_at), w.single(ALONE), scores)
    top = w.op("ReduceMax", scores, w.ints(-1), keepdims=1)
    shares = w.op("Exp", w.op("Sub", scores, top))
    whole = w.op("ReduceSum", shares, w.ints(-1), keepdims=1)
    out = w.op("MatMul", w.float(w.op("Div", shares, whole)), v)
    return out, w.op("Add", top, w.op("Log", whole))


def _inverse(w: Writer, order: str) -> str:
    """The permutation that undoes `order`, along the last axis."""
    numbers = w.op("Expand", _count(w, w.op("Shape", order, start=2, end=3)), w.op("Shape", order))
    return w.op("ScatterElements", order, order, numbers, axis=2)
