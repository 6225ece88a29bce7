"""`relative_segments` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.relative_scores.write_torch import without_first


def write(w: Writer, node: Node) -> None:
    if w.steps:
        raise NotImplementedError("scores by segment in a model that steps")
    w.helper("score_by_segment")
    q, own, other = (w.read(node, i) for i in range(3))
    scores = f"score_by_segment({q}, {own}, {other}, {w.param(node, 'vectors')}, {w.param(node, 'bias')})"
    w.set(node, without_first(w, scores) if w.attr(node, "skip_first") else scores)
