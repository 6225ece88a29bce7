"""CausalConvWithState, or the standard Conv over the tail and the new tokens."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ir.types import TensorType

FUSED_NAME = "CausalConvWithState"
FIELDS = ("kernel", "bias")
STATE = "own"


def write(w: Writer, node: Node) -> str:
    x, bias = w.inputs[0], w.param("bias") if node.attrs.get("bias") else ""
    kernel, (batch, symbol, width) = node.attrs["kernel"], w.types[0].shape
    weight = w.op("Unsqueeze", w.param("weight"), w.ints(1))  # (C, 1, K)
    kept = TensorType("float", (batch, kernel - 1, width))
    past = w.before("tail", kept)
    if kernel > 1 and w.target.has(FUSED_NAME):
        y, present = w.many(
            FUSED_NAME, x, weight, bias, past, outputs=2, domain="com.microsoft", channels_last=1, activation="none"
        )
    else:
        seen = w.op("Concat", past, x, axis=1)
        present = w.op("Slice", seen, w.length(symbol), w.ints(2**31 - 1), w.ints(1))
        given = [w.op("Transpose", seen, perm=[0, 2, 1]), weight, *([bias] if bias else [])]
        y = w.op("Transpose", w.op("Conv", *given, group=int(width)), perm=[0, 2, 1])
    w.after("tail", kept, past, present)
    return y
