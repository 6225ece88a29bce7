"""Embeddings by cluster: each table is read at the ids that it holds, and all projected rows are added up."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.adaptive_embedding.shape import clusters, projected

FIELDS = ("rows", "width", "cutoffs", "divide")


def write(w: Writer, node: Node) -> str:
    ids, total = w.inputs[0], ""
    for c, (low, high, _) in enumerate(clusters(node.attrs)):
        place = w.op("Clip", w.op("Sub", ids, w.whole(low)), w.whole(0), w.whole(high - low - 1))
        rows = w.op("Gather", w.param(f"table_{c}"), place, axis=0)
        if projected(node.attrs):
            rows = w.op("MatMul", rows, w.param(f"projection_{c}", transposed=True))
        inside = w.op("And", w.op("GreaterOrEqual", ids, w.whole(low)), w.op("Less", ids, w.whole(high)))
        rows = w.op("Where", w.op("Unsqueeze", inside, w.ints(-1)), rows, w.number(0.0))
        total = w.op("Add", total, rows) if total else rows
    return total
