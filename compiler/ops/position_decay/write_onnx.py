"""A factor for each channel and position, in fp32."""

import numpy as np

from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.ops.position_decay.shape import zetas

FIELDS = ("base", "sign", "dims", "offset", "pairing", "at_least")


def write(w: Writer, node: Node) -> str:
    x, positions = w.inputs
    rates = np.log(np.array(zetas(node.attrs, int(w.types[0].shape[-1])))) * node.attrs["sign"] / node.attrs["base"]

    def factors(m: Writer) -> str:
        at = m.op("Unsqueeze", m.cast(positions, "fp32"), m.ints(1, 3))
        return m.float(m.op("Exp", m.op("Mul", at, m.numbers(rates, "fp32"))))

    return w.op("Mul", x, w.shared(key_of("position_decay", dict(node.attrs), positions), factors))
