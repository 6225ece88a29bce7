"""x Wᵀ + bias, then the activation. The matrix is stored (in, out) as MatMul reads it, unless an embedding has it."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.activation.write_onnx import apply, with_bias

FIELDS = ("width", "bias", "activation")


def write(w: Writer, node: Node) -> str:
    y = project(w, w.inputs[0])
    function = node.attrs.get("activation") or "identity"
    return with_bias(w, y, w.param("bias"), function) if node.attrs.get("bias") else apply(w, y, function)


def project(w: Writer, x: str) -> str:
    """x Wᵀ with the node's `weight`."""
    if not w.is_plain("weight"):
        return w.op("MatMul", x, w.param("weight", transposed=True))
    if w.target.has("FusedMatMul"):
        return w.fused("FusedMatMul", x, w.param("weight"), transB=1)
    return w.op("MatMul", x, w.op("Transpose", w.param("weight"), perm=[1, 0]))
