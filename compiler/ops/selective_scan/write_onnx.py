"""Mamba's recurrence as a Scan over the tokens, in fp32."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ir.types import TensorType

FIELDS = ("d_state", "at_least")
STATE = "own"


def write(w: Writer, node: Node) -> str:
    x, dt, b, c = (w.cast(value, "fp32") for value in w.inputs)
    batch, _, width = w.types[0].shape
    a = w.op("Neg", w.op("Exp", w.cast(w.param("a_log"), "fp32")))  # (I, N)
    kept = TensorType("fp32", (batch, width, node.attrs["d_state"]))
    past = w.before("h", kept)

    def each(m: Writer, states: tuple[str, ...], now: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        written, step, key, query = now
        decay = m.op("Exp", m.op("Mul", m.op("Unsqueeze", step, m.ints(-1)), a))  # (B, I, N)
        new = m.op("Mul", m.op("Unsqueeze", written, m.ints(-1)), m.op("Unsqueeze", key, m.ints(1)))
        h = m.op("Add", m.op("Mul", decay, states[0]), new)
        read = m.op("MatMul", h, m.op("Unsqueeze", query, m.ints(-1)))  # (B, I, 1)
        return (h,), (m.op("Squeeze", read, m.ints(-1)),)

    (present,), (y,) = w.scan(each, [past], [w.op("Mul", x, dt), dt, b, c])
    w.after("h", kept, past, present)
    return w.float(w.op("Add", y, w.op("Mul", w.cast(w.param("d"), "fp32"), x)))
