"""`linear` in PyTorch, with its bias and activation."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.activation.write_torch import call


def write(w: Writer, node: Node) -> None:
    bias = f", {w.param(node, 'bias')}" if w.attr(node, "bias") else ""
    y = f"{w.helper('linear')}({w.read(node, 0)}, {w.param(node, 'weight')}{bias})"
    w.set(node, call(w, w.attr(node, "activation") or "identity", y))
