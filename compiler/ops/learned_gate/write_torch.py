"""`learned_gate` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.activation.write_torch import call


def write(w: Writer, node: Node) -> None:
    gate, function = w.param(node, "weight"), w.attr(node, "function")
    w.set(node, f"{w.read(node, 0)} * {call(w, function, gate) if function else gate}", keeps=0)
