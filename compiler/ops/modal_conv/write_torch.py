"""`modal_conv` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.helper("modal_conv")
    past = w.cache(node)[0] if w.steps else "None"
    given = ", ".join([w.read(node, 0), *(w.param(node, role) for role in ("poles", "residues", "skip")), past])
    w.set(node, f"modal_conv({given})")
