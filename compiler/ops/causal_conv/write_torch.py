"""`causal_conv` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.helper("causal_conv")
    past = w.cache(node)[0] if w.steps else "None"
    bias = w.param(node, "bias") if w.attr(node, "bias") else "None"
    w.set(node, f"causal_conv({w.read(node, 0)}, {w.param(node, 'weight')}, {bias}, {past})", keeps=0)
