"""Mamba-2 as linear attention with one decay for each head: c asks, b is the key, dt·x the value."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.linear_attention.write_onnx import attend

FIELDS = ("n_heads", "n_groups", "dt_limit", "at_least")
STATE = "own"


def write(w: Writer, node: Node) -> str:
    x, dt, b, c = w.inputs
    heads, groups = node.attrs["n_heads"], node.attrs.get("n_groups", 1)
    width, n = int(w.types[0].shape[-1]) // heads, int(w.types[2].shape[-1]) // groups
    step = w.op("Softplus", w.op("Add", w.cast(dt, "fp32"), w.cast(w.param("dt_bias"), "fp32")))  # (B, S, H)
    if node.attrs.get("dt_limit"):
        low, high = node.attrs["dt_limit"]
        step = w.op("Clip", step, w.single(low), w.single(high))
    decay = w.op("Mul", w.op("Neg", w.op("Exp", w.cast(w.param("a_log"), "fp32"))), step)
    values = w.op("Reshape", x, w.ints(0, 0, heads, width))
    written = w.op("Mul", values, w.op("Unsqueeze", w.float(step), w.ints(-1)))
    keys, queries = (_by_head(w, r, groups, heads // groups, n) for r in (b, c))
    y = attend(w, queries, keys, w.op("Reshape", written, w.ints(0, 0, heads * width)), w.float(decay), "",
               heads, n, width, w.types[0].shape[0])  # fmt: skip
    skipped = w.op("Mul", values, w.op("Unsqueeze", w.param("d"), w.ints(-1)))
    return w.op("Add", y, w.op("Reshape", skipped, w.ints(0, 0, heads * width)))


def _by_head(w: Writer, x: str, groups: int, each: int, n: int) -> str:
    """(B, S, G·N) -> (B, S, H·N), each group for `each` heads in a row."""
    if each == 1:
        return x
    apart = w.op("Reshape", x, w.ints(0, 0, groups, 1, n))
    return w.op("Reshape", w.op("Expand", apart, w.ints(1, 1, groups, each, n)), w.ints(0, 0, groups * each * n))
