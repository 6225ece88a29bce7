"""Each head beside itself, then the axis of heads made one again."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("times",)


def write(w: Writer, node: Node) -> str:
    _, heads, _, width = w.types[0].shape
    times = node.attrs["times"]
    beside = w.op("Concat", *[w.op("Unsqueeze", w.inputs[0], w.ints(2))] * times, axis=2)  # (B, G, times, S, D)
    return w.op("Reshape", beside, w.ints(0, int(heads) * times, -1, int(width)))
