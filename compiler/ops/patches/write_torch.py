"""`patches` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    bias = f", {w.param(node, 'bias')}" if "bias" in node.params else ""
    squares = f"F.conv2d({w.read(node, 0)}, {w.param(node, 'weight')}{bias}, stride={node.attrs['patch']})"
    name = w.set(node, f"{squares}.flatten(2).transpose(1, 2)")
    if "class_token" in node.params:
        first = f"{w.param(node, 'class_token')}.expand(len({name}), 1, -1)"
        w.line(f"{name} = torch.cat([{first}, {name}], 1)", w.shape(node.outputs[0]))
