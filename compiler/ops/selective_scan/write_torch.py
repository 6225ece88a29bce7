"""`selective_scan` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.helper("selective_scan")
    past = w.cache(node)[0] if w.steps else "None"
    inputs = [*(w.read(node, i) for i in range(4)), w.param(node, "a_log"), w.param(node, "d"), past]
    w.set(node, f"selective_scan({', '.join(inputs)})")
