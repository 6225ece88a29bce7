"""A factor for each query from its position, in fp32."""

from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node

FIELDS = ("floor", "scale")


def write(w: Writer, node: Node) -> str:
    x, positions = w.inputs

    def factors(m: Writer) -> str:
        passed = m.op("Div", m.op("Add", positions, m.whole(1)), m.whole(int(node.attrs["floor"])))  # whole numbers
        log = m.op("Log", m.op("Add", m.cast(passed, "fp32"), m.numbers(1.0, "fp32")))
        factor = m.op("Add", m.op("Mul", log, m.numbers(float(node.attrs["scale"]), "fp32")), m.numbers(1.0, "fp32"))
        return m.float(m.op("Unsqueeze", factor, m.ints(1, 3)))

    return w.op("Mul", x, w.shared(key_of("temperature", dict(node.attrs), positions), factors))
