"""The modes as a Scan over the tokens, complex numbers as pairs of real ones, in fp32."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ir.types import TensorType

FIELDS = ("order", "groups", "at_least")
STATE = "own"


def write(w: Writer, node: Node) -> str:
    x = w.cast(w.inputs[0], "fp32")
    (batch, _, width), order = w.types[0].shape, node.attrs["order"]
    each_group = int(width) // node.attrs["groups"]
    group = w.ints(*(c // each_group for c in range(int(width))))  # of each channel

    def parts(pairs: str) -> tuple[str, str]:
        """Real and imaginary parts (..., order) of pairs (..., order, 2)."""
        return w.op("Gather", pairs, w.whole(0), axis=-1), w.op("Gather", pairs, w.whole(1), axis=-1)

    (pole, turn), (residue, phase) = (
        parts(w.op("Gather", w.cast(w.param(role), "fp32"), group, axis=0)) for role in ("poles", "residues")
    )  # (C, order) each
    kept = TensorType("fp32", (batch, width, order, 2))
    past = w.before("modes", kept)

    def each(m: Writer, states: tuple[str, ...], now: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        re, im = states
        given = m.op("Unsqueeze", now[0], m.ints(-1))  # (B, C, 1)
        turned = m.op("Sub", m.op("Mul", pole, re), m.op("Mul", turn, im))
        im = m.op("Add", m.op("Mul", pole, im), m.op("Mul", turn, re))
        re = m.op("Add", turned, given)
        told = m.op("Sub", m.op("Mul", residue, re), m.op("Mul", phase, im))
        return (re, im), (m.op("ReduceSum", told, m.ints(-1), keepdims=0),)

    ends, (y,) = w.scan(each, parts(past), [x])
    pairs = (w.op("Unsqueeze", part, w.ints(-1)) for part in ends)
    w.after("modes", kept, past, w.op("Concat", *pairs, axis=-1))
    return w.float(w.op("Add", y, w.op("Mul", x, w.cast(w.param("skip"), "fp32"))))
