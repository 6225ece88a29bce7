"""`lsh_attention` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    attrs = node.attrs
    w.helper("lsh_attention")
    shifts = f"range({1 - w.attr(node, 'behind')}, {w.attr(node, 'ahead') + 1})"
    numbers = f"{attrs['chunk']}, {shifts}, {w.attr(node, 'rounds')}, {attrs['buckets']}, {w.attr(node, 'seed')}"
    w.set(node, f"lsh_attention({w.read(node, 0)}, {w.read(node, 1)}, {w.read(node, 2)}, {numbers})")
