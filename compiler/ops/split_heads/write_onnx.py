"""(B, S, heads·D) -> (B, heads, S, D)."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("heads",)


def write(w: Writer, node: Node) -> str:
    return split(w, w.inputs[0], node.attrs["heads"])


def split(w: Writer, x: str, heads: int) -> str:
    """The head size follows from the width."""
    return w.op("Transpose", w.op("Reshape", x, w.ints(0, 0, heads, -1)), perm=[0, 2, 1, 3])
