"""`add_norm` in PyTorch: the sum, then its norm."""

import importlib

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.add.write_torch import total


def write(w: Writer, node: Node) -> None:
    weight, bias = (w.param(node, role) if role in node.params else "" for role in ("weight", "bias"))
    x = w.set(node, total(w, node), keeps=0)
    norm = importlib.import_module(f"compiler.ops.{node.attrs['norm']}.write_torch")
    w.set(node, norm.call(w, x, int(w.type(node.outputs[0]).shape[-1]), node.attrs, weight, bias), output=1)
