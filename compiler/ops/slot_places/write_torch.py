"""`slot_places` in PyTorch: parts of what `compress_rows` works out once for all layers."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.compress_rows.write_torch import slots_of


def write(w: Writer, node: Node) -> None:
    made = w.graph.producer(node.inputs[1])
    assert made is not None
    slots = slots_of(w, made)
    for value, part in zip(node.outputs, ("shift", "near", "number"), strict=True):
        w.names[value] = f"{slots}.{part}"  # (S,), (S,), (K,): the same in every row
