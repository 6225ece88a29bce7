"""`batch_norm` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    weight, bias = (w.param(node, role) if role in node.params else "None" for role in ("weight", "bias"))
    if w.attr(node, "gain") == "one_plus":
        weight = f"1 + {weight}"
    x, mean, variance = w.read(node, 0), w.param(node, "mean"), w.param(node, "variance")
    width = w.type(node.inputs[0]).shape[-1]
    call = f"F.batch_norm({x}.reshape(-1, {width}), {mean}, {variance}, {weight}, {bias}, eps={node.attrs['eps']!r})"
    w.set(node, f"{call}.view_as({x})", keeps=0)
