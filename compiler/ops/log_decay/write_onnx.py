"""log sigmoid(x) as -softplus(-x); or -exp(a) · softplus(x + bias)."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("function", "divide")


def write(w: Writer, node: Node) -> str:
    x = w.cast(w.inputs[0], "fp32")
    if node.attrs["function"] == "sigmoid":
        y = w.op("Neg", w.op("Softplus", w.op("Neg", x)))
    else:
        rate = w.op("Neg", w.op("Exp", w.cast(w.param("a"), "fp32")))
        y = w.op("Mul", rate, w.op("Softplus", w.op("Add", x, w.cast(w.param("bias"), "fp32"))))
    divide = node.attrs.get("divide", 1)
    return w.float(w.op("Div", y, w.single(divide)) if divide != 1 else y)
