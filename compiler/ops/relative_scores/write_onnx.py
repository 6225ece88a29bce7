"""Scores with vectors by distance, from plain arithmetic: every distance once, then each pair takes its own.

A table's rows are looked up as in `relative_bias`; sines and cosines are worked out in the graph (in double precision,
as distances may be long), because a table of them would be as long as the longest sequence.
"""

from math import gcd
from typing import Any

import numpy as np

from compiler.emit.onnx.norms import normed
from compiler.emit.onnx.sheet import LOCAL
from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.ops.base import Attrs
from compiler.ops.relative_bias.write_onnx import buckets, pair_rows
from compiler.ops.sinusoid.shape import inverse_frequencies

FIELDS = ("vectors", "terms", "width", "far", "spacing", "skip_first", "projected")


def write(w: Writer, node: Node) -> str:
    vectors, terms = node.attrs["vectors"], node.attrs["terms"]
    moved, far, spacing = len(node.inputs) > 2, node.attrs.get("far"), node.attrs.get("spacing")
    if vectors["type"] == "table" and not far and (moved or not w.max_length):
        w.refuse("a table of distances between given positions, or without the spec's max_length")
    if "k_r" in terms and w.sheet.stepping:
        w.refuse("scores of keys with vectors by distance in a model that steps")
    q, k = w.inputs[:2]
    heads, groups = int(w.types[0].shape[1]), int(w.types[1].shape[1])
    new, total = w.types[0].shape[2], w.key_length(w.types[1])
    if vectors["type"] == "table":
        distance = dict(vectors["distance"])
        place = _rows(w, dict(node.attrs), new, total) if far else pair_rows(w, distance, new, total, spacing)
        found = w.param("table")
        if norm := vectors.get("norm"):
            own = {role.removeprefix("norm."): w.param(role) for role in node.params if role.startswith("norm.")}
            found = normed(w, norm, found, int(w.types[0].shape[3]), own)
    else:
        place, found = _waves(w, dict(node.attrs), heads, new, total)
    by_row: list[str] = []
    if "q_r" in terms or "v_r" in terms:
        v = w.op("Unsqueeze", w.param("v"), w.ints(0, 2)) if "v_r" in terms else ""  # (1, H, 1, D)
        query = w.op("Add", q, v) if v and "q_r" in terms else w.op("Expand", v, w.op("Shape", q)) if v else q
        by_row.append(w.op("MatMul", query, _transposed(w, found)))
    if "s" in terms:
        by_row.append(w.op("Unsqueeze", w.param("s"), w.ints(0, 2)))  # (1, H, 1, R)
    scores = [_taken(w, w.op("Add", *by_row) if len(by_row) > 1 else by_row[0], q, place)] if by_row else []
    if "k_r" in terms:
        if groups < heads:
            each = w.op("Expand", w.op("Unsqueeze", k, w.ints(2)), w.ints(1, 1, heads // groups, 1, 1))
            k = w.op("Reshape", each, w.op("Concat", w.ints(0, heads), w.op("Shape", k, start=2), axis=0))
        turned = w.op("Transpose", place, perm=[1, 0])
        seen = _taken(w, w.op("MatMul", k, _transposed(w, found)), k, turned)
        scores.append(w.op("Transpose", seen, perm=[0, 1, 3, 2]))
    total_scores = w.op("Add", *scores) if len(scores) > 1 else scores[0]
    return without_first(w, total_scores) if node.attrs.get("skip_first") else total_scores


def without_first(w: Writer, scores: str) -> str:
    """Zero for the first query and for the first key: (B, H, S, T)."""
    if w.sheet.stepping:
        w.refuse("scores that leave out the first row in a model that steps")
    rest = w.op("Slice", scores, w.ints(1, 1), w.ints(2**31 - 1, 2**31 - 1), w.ints(2, 3))
    return w.op("Pad", rest, w.ints(0, 0, 1, 1, 0, 0, 0, 0), w.number(0))


def _transposed(w: Writer, vectors: str) -> str:
    """(R, D) or (H, R, D) with the last two axes swapped."""
    assert w.node is not None
    wave = w.node.attrs["vectors"]["type"] == "sinusoid"
    by_head = w.node.attrs.get("projected", True) if wave else w.node.attrs["vectors"].get("per_head")
    return w.op("Transpose", vectors, perm=[0, 2, 1] if by_head else [1, 0])


def _taken(w: Writer, by_row: str, rows: str, place: str) -> str:
    """(B|1, H, S|1, R) at each pair's place, ([B,] S, T): (B, H, S, T). `rows` gives B, H and S."""
    shape = w.op("Shape", rows, start=0, end=3)
    count = w.op("Shape", by_row, start=3)
    wide = w.op("Expand", by_row, w.op("Concat", shape, count, axis=0))
    keys = w.op("Shape", place, start=-1)
    if w.node is not None and len(w.node.inputs) > 2:
        place = w.op("Unsqueeze", place, w.ints(1))
    at = w.op("Expand", place, w.op("Concat", shape, keys, axis=0))
    return w.op("GatherElements", wide, at, axis=3)


def _rows(w: Writer, attrs: Attrs, new: Any, total: Any) -> str:
    """Each pair's row of a table ([B,] S, T) where distances have a bound."""
    rows = w.sheet.constant(buckets(dict(attrs["vectors"]["distance"]), -np.arange(attrs["far"])))
    pairs, _ = _distances(w, attrs, new, total)
    return w.op("Gather", rows, pairs)


def _distances(w: Writer, attrs: Attrs, new: Any, total: Any) -> tuple[str, str]:
    """i - j of each pair ([B,] S, T), and a key that names it."""
    given, spacing, far = w.inputs[2:], attrs.get("spacing"), attrs.get("far")
    key = key_of("distances", [new, total], list(given), spacing, far)

    def between(m: Writer) -> str:
        if len(given) == 2:
            return m.op("Sub", m.op("Unsqueeze", given[0], m.ints(2)), m.op("Unsqueeze", given[1], m.ints(1)))
        end, zero, one = m.scalar(m.length(total)), m.whole(0), m.whole(1)
        if spacing:
            count = m.op("Range", zero, m.scalar(m.length(new)), one), m.op("Range", zero, end, one)
            i, j = (
                m.op("Add", m.op("Mul", rows, m.whole(stride)), m.whole(first))
                for rows, (stride, first) in zip(count, spacing, strict=True)
            )
            return m.op("Sub", m.op("Unsqueeze", i, m.ints(1)), m.op("Unsqueeze", j, m.ints(0)))
        i = m.op("Range", m.op("Sub", end, m.scalar(m.length(new))), end, one)
        j = m.op("Range", zero, end, one)
        pairs = m.op("Sub", m.op("Unsqueeze", i, m.ints(1)), m.op("Unsqueeze", j, m.ints(0)))
        return m.op("Add", pairs, m.op("Unsqueeze", given[0], m.ints(2))) if given else pairs

    def build(m: Writer) -> str:
        return m.op("Clip", between(m), m.whole(0), m.whole(far - 1)) if far else between(m)

    return (build(w) if any(name.startswith(LOCAL) for name in given) else w.shared(key, build)), key


def _waves(w: Writer, attrs: Attrs, heads: int, new: Any, total: Any) -> tuple[str, str]:
    """Each pair's place ([B,] S, T), and the sines and cosines of every distance, projected (H, R, D) or not (R, D)."""
    gap = gcd(*(stride for stride, _ in attrs.get("spacing") or [[1, 0], [1, 0]]))
    whole = {**attrs["vectors"], "width": attrs["width"]}

    def table(m: Writer, pairs: str) -> str:
        low, high = (m.op(op, pairs, keepdims=0) for op in ("ReduceMin", "ReduceMax"))
        each = m.op("Range", low, m.op("Add", high, m.whole(1)), m.whole(gap))
        if whole.get("clamp") is not None:
            each = m.op("Clip", each, m.whole(-whole["clamp"]), m.whole(whole["clamp"]))
        angle = m.op("Mul", m.op("Unsqueeze", m.cast(each, "fp64"), m.ints(1)),
                     m.numbers([inverse_frequencies(whole)], "fp64"))  # fmt: skip
        parts = [m.op("Sin", angle), m.op("Cos", angle)]
        if whole.get("layout", "halves") == "halves":
            return m.float(m.op("Concat", *parts, axis=-1))
        pairwise = m.op("Concat", *(m.op("Unsqueeze", part, m.ints(2)) for part in parts), axis=2)
        return m.float(m.op("Reshape", pairwise, m.ints(-1, attrs["width"])))

    pairs, key = _distances(w, attrs, new, total)
    local = pairs.startswith(LOCAL)
    place = w.op("Sub", pairs, w.op("ReduceMin", pairs, keepdims=0))
    place = w.op("Div", place, w.whole(gap)) if gap > 1 else place
    waves = table(w, pairs) if local else w.shared(key_of("waves", whole, key), lambda m: table(m, pairs))
    if not attrs.get("projected", True):
        return place, waves
    projected = w.op("MatMul", waves, w.param("r", transposed=True))  # (R, H·D)
    split = w.op("Reshape", projected, w.ints(-1, heads, int(w.types[0].shape[3])))
    return place, w.op("Transpose", split, perm=[1, 0, 2])
