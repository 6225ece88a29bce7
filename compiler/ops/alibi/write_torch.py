"""`alibi` in PyTorch: one bias for all layers, but over pooled rows."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.alibi.shape import NARROW, slopes
from compiler.ops.attention.write_torch import span_of


def write(w: Writer, node: Node) -> None:
    w.helper("alibi")
    numbers = w.buffer("slopes", repr(slopes(node.attrs["heads"], w.attr(node, "max_bias"))))
    narrow = NARROW.get(w.attr(node, "computed_in") or "")
    rounded = f", rounded=torch.{narrow}" if narrow else ""
    if len(node.inputs) > 1:  # pooled rows, which are as many as no stream is
        keys, rates = w.read(node, 1), w.once("slopes", f"self.{numbers}")
        w.set(node, f"alibi({rates}, {w.read(node, 0)}, {keys}[:, 0]{rounded}, stride={w.attr(node, 'stride')})")
        return
    if w.steps:
        span = span_of(w, node)
        name = w.once("alibi_bias", f"alibi(self.{numbers}, {span}.real, {{0}}, {span}.j{rounded})", w.stream)
    else:
        name = w.once("alibi_bias", f"alibi(self.{numbers}, {{1}}, {{0}}{rounded})", w.stream, node.inputs[0])
    w.names[node.outputs[0]] = name
