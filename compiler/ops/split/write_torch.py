"""`split` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    x = w.read(node, 0)
    names = []
    for value in node.outputs:
        w.names[value] = w.local(value)
        names.append(w.names[value])
    shapes = ", ".join(w.shape(value) for value in node.outputs)
    w.line(f"{', '.join(names)} = {x}.split({tuple(node.attrs['sizes'])!r}, -1)", shapes)
