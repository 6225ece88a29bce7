"""`adaptive_softmax` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.helper("adaptive_log_softmax")

    def given(role: str) -> str:
        return w.param(node, role) if role in node.params else "None"

    roles = ("table", "bias", "projection")
    parts = [f"({', '.join(given(f'{role}_{c}') for role in roles)})" for c in range(len(node.attrs["cutoffs"]) + 1)]
    heads = f"{w.param(node, 'clusters')}, {w.param(node, 'cluster_bias')}"
    w.set(node, f"adaptive_log_softmax({w.read(node, 0)}, [{', '.join(parts)}], {heads})")
