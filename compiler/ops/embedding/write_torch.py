"""`embedding` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    ids, offset = w.read(node, 0), w.attr(node, "offset")
    w.set(node, f"F.embedding({ids} + {offset}, {w.param(node, 'weight')})" if offset else
          f"F.embedding({ids}, {w.param(node, 'weight')})")  # fmt: skip
