"""`gru` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    r, y = w.read(node, 0), w.read(node, 1)
    roles = ("input_weight", "hidden_weight", "input_bias", "hidden_bias")
    weights = ", ".join(w.param(node, role) for role in roles)
    w.set(node, f"torch.gru_cell({y}.flatten(0, -2), {r}.flatten(0, -2), {weights}).view_as({r})", keeps=0)
