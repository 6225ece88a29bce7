"""SkipSimplifiedLayerNormalization or SkipLayerNormalization on CUDA; elsewhere the sum, then its norm."""

from compiler.emit.onnx.target import FUSED
from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.rms_norm.write_onnx import gain, normed

SKIP = {"rms_norm": "SkipSimplifiedLayerNormalization", "layer_norm": "SkipLayerNormalization"}
FIELDS = ("left", "right", "norm", "eps", "gain", "bias", "eps_at", "groups", "at_least")


def write(w: Writer, node: Node) -> tuple[str, str]:
    attrs = node.attrs
    left, right = (
        x if by == 1 else w.op("Mul", x, w.number(by))
        for x, by in zip(w.inputs, (attrs.get("left", 1), attrs.get("right", 1)), strict=True)
    )
    fused, width = SKIP[attrs["norm"]], int(w.types[0].shape[-1])
    reason = None
    if attrs.get("eps_at", "inside") != "inside":
        reason = "its eps stands inside the root"
    elif attrs.get("groups", 1) != 1:
        reason = "it has no groups"
    elif len(w.types[0].shape) != 3:
        reason = "it takes (B, S, width)"
    elif attrs["norm"] == "rms_norm" and attrs.get("bias"):
        reason = "it has no bias after the norm"
    if reason or not w.target.has(fused):
        if reason and w.target.has(fused):
            w.note(f"{fused} not used for {node.name}: {reason}")
        total = w.op("Add", left, right)
        return total, normed(w, attrs["norm"], total, attrs, width)
    bias = [w.param("bias")] if attrs.get("bias") else []
    y, _, _, total = w.many(
        fused, left, right, gain(w, attrs, width), *bias, domain=FUSED[fused][0],
        outputs=(True, False, False, True), epsilon=attrs["eps"],
    )  # fmt: skip
    return total, y
