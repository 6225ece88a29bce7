"""`wkv` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.helper("weighted_values")
    past = w.cache(node) if w.steps else ["None"] * 3
    inputs = [w.read(node, 0), w.read(node, 1), w.param(node, "decay"), w.param(node, "first"), *past]
    w.set(node, f"weighted_values({', '.join(inputs)})")
