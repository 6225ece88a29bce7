"""act(gate) · up of the packed [gate | up]."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.activation.write_onnx import apply

FIELDS = ("function",)


def write(w: Writer, node: Node) -> str:
    half = int(w.types[0].shape[-1]) // 2
    gate, up = w.many("Split", w.inputs[0], w.ints(half, half), outputs=2, axis=-1)
    return w.op("Mul", apply(w, gate, node.attrs["function"]), up)
