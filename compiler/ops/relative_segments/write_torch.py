"""`relative_segments` in PyTorch."""

from compiler.emit.torch.writer import RUNTIME, Writer, quoted
from compiler.ir.graph import Node
from compiler.ops.attention.write_torch import span_of
from compiler.ops.relative_scores.write_torch import without_first


def write(w: Writer, node: Node) -> None:
    w.helper("score_by_segment")
    q, own, other = (w.read(node, i) for i in range(3))
    if w.steps:
        other = keys_segments(w, node)
    scores = f"score_by_segment({q}, {own}, {other}, {w.param(node, 'vectors')}, {w.param(node, 'bias')})"
    w.set(node, without_first(w, node, scores) if w.attr(node, "skip_first") else scores)


def keys_segments(w: Writer, node: Node) -> str:
    """The variable of the segments of all keys that a step looks at, (B, K)."""
    if node.inputs[1] != node.inputs[2]:
        raise NotImplementedError("scores by segment of queries at given places in a model that steps")
    span, name = span_of(w, node), quoted(node.inputs[2])
    w.helper("rows_so_far", f"{RUNTIME}.prompt")
    w.helper("at_slots", f"{RUNTIME}.prompt")
    return w.once("segments", f"at_slots(rows_so_far({{0}}, {name}, state), {span}.j[None, :])", node.inputs[2])
