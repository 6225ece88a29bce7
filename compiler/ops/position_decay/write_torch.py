"""`position_decay` in PyTorch: the factors once for all layers."""

from compiler.emit.torch.numbers import floats
from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.position_decay.shape import zetas


def write(w: Writer, node: Node) -> None:
    w.helper("position_decays")
    zeta = w.buffer("zeta", w.const("zeta", floats(zetas(node.attrs, int(w.type(node.inputs[0]).shape[-1])))))
    base = float(node.attrs["sign"] * node.attrs["base"])
    given = f"position_decays(self.{zeta}, {{0}}, {base!r}, {{1}})"
    w.set(node, f"{w.read(node, 0)} * {w.once('decay', given, node.inputs[1], w.stream)}", keeps=0)
