"""The standard Attention over latents expanded by head. Only the latents and the rotary key go from step to step.

They are the `key` (B, 1, T, rank) and the `value` (B, 1, T, rope) of the layer's cache.
"""

from compiler.emit.onnx.blocks import Scored
from compiler.emit.onnx.masks import Rows, visible
from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.attention.write_onnx import attend, remember

FIELDS = ("mask", "scale", "d_nope", "d_value", "mask_inputs", "at_least")
STATE = "cache"


def write(w: Writer, node: Node) -> str:
    attrs = node.attrs
    q, c, k_rope, key_mask, *given = w.inputs
    named = dict(zip(attrs.get("mask_inputs", []), given, strict=True))
    q_type, c_type, rope_type = w.types[:3]
    heads, nope, value = int(q_type.shape[1]), attrs["d_nope"], attrs["d_value"]
    latents = w.op("Unsqueeze", c, w.ints(1))  # (B, 1, S, rank)
    latents, k_rope = remember(w, latents, k_rope, 1, int(c_type.shape[-1]), int(rope_type.shape[-1]))
    expanded = w.op("MatMul", w.op("Squeeze", latents, w.ints(1)), w.param("kv_up", transposed=True))
    by_head = w.op("Transpose", w.op("Reshape", expanded, w.ints(0, 0, heads, nope + value)), perm=[0, 2, 1, 3])
    k_nope, v = w.many("Split", by_head, w.ints(nope, value), outputs=2, axis=-1)
    k = w.op("Concat", k_nope, w.op("Expand", k_rope, w.ints(1, heads, 1, 1)), axis=-1)
    scored = Scored(q, k, heads, heads, int(q_type.shape[3]))
    rows = Rows(q_type.shape[2], w.key_length(c_type, axis=1), named, scored)
    seen = visible(w, attrs["mask"], rows, key_mask)
    return attend(w, q, k, v, seen, (), attrs["scale"], None, 1)
