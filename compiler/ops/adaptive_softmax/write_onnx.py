"""Log probabilities by cluster, the first one's scores beside a row for each other cluster."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.adaptive_embedding.shape import projected

FIELDS = ("rows", "cutoffs", "divide", "at_least")


def write(w: Writer, node: Node) -> str:
    x, others = w.inputs[0], len(node.attrs["cutoffs"])
    whole = projected(node.attrs)
    narrow = [w.op("MatMul", x, w.param(f"projection_{c}")) if whole else x for c in range(others + 1)]

    def scored(y: str, table: str, bias: str) -> str:
        return w.cast(w.op("Add", w.op("MatMul", y, w.param(table, transposed=True)), w.param(bias)), "fp32")

    scores = [scored(y, f"table_{c}", f"bias_{c}") for c, y in enumerate(narrow)]
    first = w.op("Concat", scores[0], scored(narrow[0], "clusters", "cluster_bias"), axis=-1)
    own = int(node.attrs["cutoffs"][0])
    parts = w.many("Split", w.op("LogSoftmax", first, axis=-1), w.ints(own, *[1] * others), outputs=others + 1, axis=-1)
    logs = [w.op("Add", share, w.op("LogSoftmax", s, axis=-1)) for share, s in zip(parts[1:], scores[1:], strict=True)]
    return w.float(w.op("Concat", parts[0], *logs, axis=-1))
