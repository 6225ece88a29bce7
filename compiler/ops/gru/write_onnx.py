"""A gated recurrent unit between residual and branch, written out: the standard GRU runs along the sequence."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ()


def write(w: Writer, node: Node) -> str:
    r, y = w.inputs

    def parts(x: str, part: str) -> list[str]:
        weight = w.op("Transpose", w.param(f"{part}_weight"), perm=[1, 0])
        d = int(w.types[0].shape[-1])
        each = w.op("Add", w.op("MatMul", x, weight), w.param(f"{part}_bias"))
        return list(w.many("Split", each, w.ints(d, d, d), outputs=3, axis=-1))

    given, held = parts(y, "input"), parts(r, "hidden")
    reset, update = (w.op("Sigmoid", w.op("Add", given[i], held[i])) for i in (0, 1))
    new = w.op("Tanh", w.op("Add", given[2], w.op("Mul", reset, held[2])))
    return w.op("Add", new, w.op("Mul", update, w.op("Sub", r, new)))
