"""The joined axes apart again, and the axis moved back to its place."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.fold_axis.write_onnx import moved_last

FIELDS = ("axis",)


def write(w: Writer, node: Node) -> str:
    rows, grid = w.inputs
    order = moved_last(len(w.types[1].shape), node.attrs["axis"] + 1)
    sizes = w.op("Gather", w.op("Shape", grid), w.ints(*order[:-1]), axis=0)
    apart = w.op("Reshape", rows, w.op("Concat", sizes, w.ints(-1), axis=0))
    return w.op("Transpose", apart, perm=[order.index(a) for a in range(len(order))])
