"""`shift` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.helper("previous_tokens")
    past = w.cache(node)[0] if w.steps else "None"
    w.set(node, f"previous_tokens({w.read(node, 0)}, {past})")
