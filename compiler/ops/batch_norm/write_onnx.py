"""BatchNormalization over rows as a batch; the statistics are stored."""

import numpy as np

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.rms_norm.write_onnx import gain

FIELDS = ("eps", "gain", "bias", "at_least")


def write(w: Writer, node: Node) -> str:
    width = int(w.types[0].shape[-1])
    bias = w.param("bias") if node.attrs.get("bias", True) else w.numbers(np.zeros(width))
    rows = w.op("Reshape", w.inputs[0], w.ints(-1, width))
    y = w.op("BatchNormalization", rows, gain(w, node.attrs, width), bias, w.param("mean"), w.param("variance"),
             epsilon=node.attrs["eps"])  # fmt: skip
    return w.op("Reshape", y, w.op("Shape", w.inputs[0]))
