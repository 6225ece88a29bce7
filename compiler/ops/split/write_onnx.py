"""The last axis cut into pieces."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("sizes",)


def write(w: Writer, node: Node) -> tuple[str, ...]:
    sizes = node.attrs["sizes"]
    return w.many("Split", w.inputs[0], w.ints(*sizes), outputs=len(sizes), axis=-1)
