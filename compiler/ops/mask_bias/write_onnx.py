"""`add` where a mask expression is true."""

from compiler.emit.onnx.masks import Rows, visible
from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("mask", "add", "mask_inputs", "apart")


def write(w: Writer, node: Node) -> str:
    q, k = w.types[:2]
    names = node.attrs.get("mask_inputs", [])
    rows = Rows(q.shape[2], w.key_length(k), dict(zip(names, w.inputs[2:], strict=True)))
    where = visible(w, node.attrs["mask"], rows, "", "zeros")
    return w.op("Mul", w.float(where), w.number(node.attrs["add"]))
