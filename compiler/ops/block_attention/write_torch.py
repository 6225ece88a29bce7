"""`block_attention` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.compress_blocks.write_torch import whole_span


def write(w: Writer, node: Node) -> None:
    span = whole_span(w, node.inputs[0], node.inputs[3])
    w.helper("attend_blocks")
    q, k, v = (w.read(node, i) for i in range(3))
    learned = f"({w.param(node, 'learned_k')}, {w.param(node, 'learned_v')})" if node.params else "None"
    numbers = ", ".join(str(node.attrs[name]) for name in ("block", "stride", "select"))
    shared, scale = w.attr(node, "share") == "kv_group", float(node.attrs["scale"])
    call = f"attend_blocks({q}, {k}, {v}, {span}.i, {span}.real, {learned}, {numbers}, {shared}, {scale!r})"
    made = w.local("compressed"), w.local("importance")
    w.names.update(zip(node.outputs, made, strict=True))
    w.line(f"{', '.join(made)} = {call}", ", ".join(w.shape(value) for value in node.outputs))
