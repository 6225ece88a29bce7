"""`select_attention` in PyTorch: all keys are kept, few are read."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.compress_blocks.write_torch import whole_span


def write(w: Writer, node: Node) -> None:
    span = whole_span(w, node.inputs[1], node.inputs[4])
    q, k, v, importance = (w.read(node, i) for i in range(4))
    if w.steps:
        past = w.cache(node)
        kept = w.local("keys"), w.local("values")
        shape = f"(B, {', '.join(map(str, (w.type(node.inputs[1]).shape[1], 'K', w.type(node.inputs[1]).shape[3])))})"
        w.line(f"{', '.join(kept)} = {span}.keep({past[0]}, {k}), {span}.keep({past[1]}, {v})", shape)
        k, v = kept
    w.helper("attend_selected")
    block, count, least, scale = (node.attrs["block"], node.attrs["count"], float(w.attr(node, "least_share")),
                                  float(node.attrs["scale"]))  # fmt: skip
    more = f"{span}.i, {span}.real, {block}, {count}, {least!r}, {scale!r}"
    w.set(node, f"attend_selected({q}, {k}, {v}, {importance}, {more})")
