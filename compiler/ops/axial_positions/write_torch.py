"""`axial_positions` in PyTorch."""

from math import prod

from compiler.emit.torch.writer import RUNTIME, Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    at, shape = w.read(node, 0), list(node.attrs["shape"])
    w.file.helper("check_ids", f"{RUNTIME}.base")
    w.line(f'check_ids({at}, {prod(shape)}, "a position")')
    parts = []
    for i, size in enumerate(shape):
        below = prod(shape[i + 1 :])
        place = f"{at} // {below} % {size}" if below > 1 else f"{at} % {size}"
        parts.append(f"F.embedding({place}, {w.param(node, f'axis_{i}')})")
    w.set(node, f"torch.cat([{', '.join(parts)}], -1)")
