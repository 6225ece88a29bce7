"""LayerNormalization, standard since opset 17; eps outside the root is written out."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.rms_norm.write_onnx import gain, outside


def write(w: Writer, node: Node) -> str:
    x, attrs = w.inputs[0], node.attrs
    bias = w.param("bias") if attrs.get("bias", True) else ""
    if attrs.get("eps_at", "inside") == "outside":
        wide = w.cast(x, "fp32")
        centred = w.op("Sub", wide, w.op("ReduceMean", wide, w.ints(-1), keepdims=1))
        return outside(w, centred, attrs, bias)
    weight = gain(w, attrs, int(w.types[0].shape[-1]))
    return w.op("LayerNormalization", x, weight, *([bias] if bias else []), axis=-1, epsilon=attrs["eps"])
