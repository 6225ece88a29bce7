"""Scores by segment, from plain arithmetic."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.relative_scores.write_onnx import without_first

FIELDS = ("skip_first",)


def write(w: Writer, node: Node) -> str:
    if w.sheet.stepping:
        w.refuse("scores by segment in a model that steps")
    q, own, other = w.inputs
    query = w.op("Add", q, w.op("Unsqueeze", w.param("bias"), w.ints(1)))  # (B, H, S, D)
    # (2, H, D) as (H, D, 2), so that one product gives both scores
    both = w.op("MatMul", query, w.op("Transpose", w.param("vectors"), perm=[1, 2, 0]))
    same, another = w.many("Split", both, w.ints(1, 1), outputs=2, axis=-1)
    agree = w.op("Equal", w.op("Unsqueeze", own, w.ints(2)), w.op("Unsqueeze", other, w.ints(1)))  # (B, S, T)
    scores = w.op("Where", w.op("Unsqueeze", agree, w.ints(1)), same, another)
    return without_first(w, scores) if node.attrs.get("skip_first") else scores
