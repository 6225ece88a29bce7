"""`head_gain` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    x = w.read(node, 0)
    if "weight" in node.params:
        weight = f"{w.param(node, 'weight')}[:, None]"
        x = f"{x} * (1 + {weight})" if w.attr(node, "gain") == "one_plus" else f"{x} * {weight}"
    if "bias" in node.params:
        x = f"{x} + {w.param(node, 'bias')}[:, None]"
    w.set(node, x, keeps=0)
