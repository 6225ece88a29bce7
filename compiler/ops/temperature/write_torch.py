"""`temperature` in PyTorch: the factors once for all layers."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.helper("temperatures")
    given = f"temperatures({{0}}, {node.attrs['floor']!r}, {float(node.attrs['scale'])!r}, {{1}})"
    w.set(node, f"{w.read(node, 0)} * {w.once('temperature', given, node.inputs[1], w.stream)}", keeps=0)
