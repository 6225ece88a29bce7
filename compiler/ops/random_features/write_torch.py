"""`random_features` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.helper("random_features")
    fields = f"{float(w.attr(node, 'eps'))!r}, {bool(w.attr(node, 'keys'))}"
    fields += f", {w.read(node, 1)}" if len(node.inputs) > 1 else ""
    w.set(node, f"random_features({w.read(node, 0)}, {w.param(node, 'projection')}, {fields})", keeps=0)
