"""LayerNormalization, standard since opset 17; eps outside the root is written out."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.rms_norm.write_onnx import normed

FIELDS = ("eps", "gain", "bias", "eps_at", "groups", "at_least")


def write(w: Writer, node: Node) -> str:
    return normed(w, "layer_norm", w.inputs[0], node.attrs, int(w.types[0].shape[-1]))
