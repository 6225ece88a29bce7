"""`join_masks` in PyTorch: None where nothing is padding."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    pairs = [f"({w.read(node, i)}, {w.read(node, i + 1)})" for i in range(0, len(node.inputs), 2)]
    w.helper("joined_real")
    w.set(node, f"joined_real([{', '.join(pairs)}])")
