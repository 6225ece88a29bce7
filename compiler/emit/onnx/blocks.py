"""Blocks of keys that are drawn or chosen by their scores, as ONNX nodes: see `compiler.masks.drawn` and `.top`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.emit.onnx.writer import Writer
from compiler.masks.drawn import PAPER_LENGTHS, tables
from compiler.masks.facts import Mask

LOWEST, HIGHEST = np.finfo(np.float32).min, np.finfo(np.float32).max


@dataclass(frozen=True, slots=True)
class Scored:
    """q (B, H, S, D) and k (B, G, T, D) with its past; G divides H, and D is `width`."""

    q: str
    k: str
    heads: int
    groups: int
    width: int


def drawn_blocks(m: Writer, mask: Mask, i: str, j: str, total: str) -> str:
    """True where the block of key j (1, T) was drawn for that of query i (S, 1): (H, S, T)."""
    plain, paper = tables(mask)
    block = m.whole(mask["block"])
    among = _among(m, plain)
    if paper is not None:
        rounded = m.op("Mul", m.op("Div", m.op("Add", total, m.whole(mask["block"] - 1)), block), block)
        is_paper = m.op("ReduceMax", m.cast(m.op("Equal", rounded, m.ints(*PAPER_LENGTHS)), "int32"), keepdims=0)
        both = m.op("Where", m.cast(is_paper, "bool"), m.cast(_among(m, paper), "int32"), m.cast(among, "int32"))
        among = m.cast(both, "bool")
    at, to = (m.op("Reshape", m.op("Div", slot, block), m.ints(-1)) for slot in (i, j))
    return m.op("Gather", m.op("Gather", among, at, axis=1), to, axis=2)


def _among(m: Writer, drawn: NDArray[Any]) -> str:
    """(H, N, N) bool of the drawn key blocks (H, N, count)."""
    return m.sheet.constant(np.asarray((drawn[..., None] == np.arange(drawn.shape[1])).any(2)))


def top_blocks(m: Writer, mask: Mask, scored: Scored, i: str, j: str, key_mask: str) -> str:
    """True where key j (1, T) lies in one of the blocks that query i (S, 1) chooses: (B, H, S, T)."""
    size, heads = mask["block"], scored.heads
    own, key_block = m.op("Div", i, m.whole(size)), m.op("Reshape", m.op("Div", j, m.whole(size)), m.ints(-1))
    length = m.op("Shape", key_block)
    count = m.op("Div", m.op("Add", length, m.ints(size - 1)), m.ints(size))  # N
    room = m.op("Concat", m.ints(0), m.op("Sub", m.op("Mul", count, m.ints(size)), length), axis=0)
    ones = m.op("Expand", m.single(1.0), m.op("Shape", j))
    real = m.cast(key_mask, "fp32") if key_mask else ones  # (B|1, T)
    inside = m.op("Reshape", m.op("Pad", real, room, m.single(0.0), m.ints(1)), m.ints(0, -1, size))
    numbers = m.op("ReduceSum", inside, m.ints(-1), keepdims=0)  # real keys of each block (B|1, N)
    q = m.op("Reshape", m.cast(scored.q, "fp32"), m.ints(0, scored.groups, heads // scored.groups, -1, scored.width))
    k = m.cast(scored.k, "fp32")
    if mask.get("score", "mean_key") == "mean_key":
        kept = m.op("Mul", k, m.op("Unsqueeze", real, m.ints(1, 3)))
        blocked = m.op("Pad", kept, room, m.single(0.0), m.ints(2))
        sums = m.op("ReduceSum", m.op("Reshape", blocked, m.ints(0, 0, -1, size, scored.width)), m.ints(3), keepdims=0)
        means = m.op("Div", sums, m.op("Unsqueeze", m.op("Max", numbers, m.single(1.0)), m.ints(1, 3)))
        gate = m.op("MatMul", q, _turned(m, means))  # (B, G, H/G, S, N)
    else:
        scores = m.op("MatMul", q, _turned(m, k))
        hidden = m.op("Unsqueeze", m.cast(real, "bool"), m.ints(1, 2, 3))
        blocked = m.op("Pad", m.op("Where", hidden, scores, m.single(LOWEST)), room, m.single(LOWEST), m.ints(4))
        shape = m.op("Concat", m.op("Shape", blocked, start=0, end=4), m.ints(-1, size), axis=0)
        gate = m.op("ReduceMax", m.op("Reshape", blocked, shape), m.ints(-1), keepdims=0)
    gate = m.op("Reshape", gate, m.op("Concat", m.ints(0, heads, -1), count, axis=0))  # (B, H, S, N)
    at = m.op("Range", m.whole(0), m.scalar(count), m.whole(1))
    before = m.op("And", m.op("Less", at, own), m.op("Unsqueeze", m.cast(numbers, "bool"), m.ints(1, 2)))
    gate = m.op("Where", before, gate, m.single(LOWEST))
    gate = m.op("Where", m.op("Equal", at, own), m.single(HIGHEST), gate)
    _, best = m.many("TopK", gate, m.op("Min", m.ints(mask["count"]), count), outputs=2, axis=-1)
    none, some = (m.op("Expand", m.single(x), m.op("Shape", like)) for x, like in ((0.0, gate), (1.0, best)))
    chosen = m.cast(m.op("ScatterElements", none, best, some, axis=-1), "bool")
    chosen = m.op("And", chosen, m.op("Greater", gate, m.single(LOWEST)))
    return m.op("Gather", chosen, key_block, axis=3)


def _turned(m: Writer, k: str) -> str:
    """(B, G, T, D) -> (B, G, 1, D, T)."""
    return m.op("Unsqueeze", m.op("Transpose", k, perm=[0, 1, 3, 2]), m.ints(2))
