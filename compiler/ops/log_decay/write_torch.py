"""`log_decay` in PyTorch."""

from compiler.emit.torch.writer import RUNTIME, Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.helper("wide", f"{RUNTIME}.scan")
    x, divide = f"wide({w.read(node, 0)})", float(w.attr(node, "divide"))
    if node.attrs["function"] == "sigmoid":
        y = f"F.logsigmoid({x})"
    else:
        a, bias = w.param(node, "a"), w.param(node, "bias")
        y = f"-torch.exp(wide({a})) * F.softplus({x} + {bias})"
    w.set(node, y if divide == 1 else f"{y} / {divide!r}", keeps=0)
