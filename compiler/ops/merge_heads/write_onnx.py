"""(B, heads, S, D) -> (B, S, heads·D)."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ()


def write(w: Writer, node: Node) -> str:
    _, heads, _, width = w.types[0].shape
    return merge(w, w.inputs[0], int(heads) * int(width))


def merge(w: Writer, x: str, width: int) -> str:
    """`width` is that of the joined heads."""
    return w.op("Reshape", w.op("Transpose", x, perm=[0, 2, 1, 3]), w.ints(0, 0, width))
