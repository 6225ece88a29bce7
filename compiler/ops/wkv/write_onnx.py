"""RWKV-4's weighted sum as a Scan over the tokens, in fp32, its weights relative to the greatest so far."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ir.types import TensorType

FIELDS = ("at_least",)
STATE = "own"


def write(w: Writer, node: Node) -> str:
    k, v = (w.cast(value, "fp32") for value in w.inputs)
    batch, _, width = w.types[0].shape
    fade = w.op("Neg", w.op("Exp", w.cast(w.param("decay"), "fp32")))
    first = w.cast(w.param("first"), "fp32")
    kept = TensorType("fp32", (batch, width))
    names = ("numerator", "denominator", "max")
    past = [w.before(name, kept) for name in names]
    # Zeros are no weights at all: then the greatest exponent is that of no number.
    some = w.op("Greater", past[1], w.single(0))
    top = w.op("Where", some, past[2], w.single(-1e38))

    def each(m: Writer, states: tuple[str, ...], now: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        numerator, denominator, greatest = states
        key, value = now

        def joined(old: str, new: str) -> tuple[str, str, str]:
            """Sums with one more weight, and the greater exponent."""
            most = m.op("Max", old, new)
            before, own = m.op("Exp", m.op("Sub", old, most)), m.op("Exp", m.op("Sub", new, most))
            above = m.op("Add", m.op("Mul", before, numerator), m.op("Mul", own, value))
            return above, m.op("Add", m.op("Mul", before, denominator), own), most

        above, below, _ = joined(greatest, m.op("Add", first, key))
        return joined(m.op("Add", greatest, fade), key), (m.op("Div", above, below),)

    ends, (y,) = w.scan(each, [past[0], past[1], top], [k, v])
    for name, before, present in zip(names, past, ends, strict=True):
        w.after(name, kept, before, present)
    return w.float(y)
