"""`gated_activation` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.activation.write_torch import call


def write(w: Writer, node: Node) -> None:
    gate, up = w.local("gate"), w.local("up")
    half = int(w.type(node.outputs[0]).shape[-1])
    w.line(f"{gate}, {up} = {w.read(node, 0)}.split({half}, -1)", f"two of {w.shape(node.outputs[0])}")
    w.set(node, f"{call(w, node.attrs['function'], gate)} * {up}", keeps=0)
