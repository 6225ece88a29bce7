"""`softcap` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    cap = node.attrs["cap"]
    w.set(node, f"{cap!r} * torch.tanh({w.read(node, 0)} / {cap!r})", keeps=0)
