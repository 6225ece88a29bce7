"""Padded rows times zero; in a step the mask covers all tokens so far, of which the last ones are here."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ir.types import Dim, TensorType

FIELDS = ("fill",)


def write(w: Writer, node: Node) -> str:
    fill = node.attrs.get("fill", 0)
    y = zeroed(w, w.inputs[0], w.inputs[1], w.types[0], w.types[1])
    if not fill:
        return y
    padding = w.op("Sub", w.number(1.0), _kept(w, w.inputs[1], w.types[0], w.types[1]))
    return w.op("Add", y, w.op("Mul", padding, w.number(fill)))


def zeroed(w: Writer, x: str, mask: str, x_type: TensorType, mask_type: TensorType) -> str:
    """x (B, S, W) or (B, H, S, D) with zeros at padding."""
    return w.op("Mul", x, _kept(w, mask, x_type, mask_type))


def _kept(w: Writer, mask: str, x_type: TensorType, mask_type: TensorType) -> str:
    rank = len(x_type.shape)
    symbol, total = x_type.shape[1 if rank == 3 else 2], mask_type.shape[1]
    axes = (2,) if rank == 3 else (1, 3)
    return w.shared(f"rows {mask} {symbol} {rank}", lambda m: rows(m, mask, symbol, total, axes))


def rows(m: Writer, mask: str, symbol: Dim, total: Dim, axes: tuple[int, ...]) -> str:
    """The mask of the new tokens as numbers, (B, S, 1) or (B, 1, S, 1)."""
    if m.sheet.stepping and total == "T":
        first = m.op("Sub", m.length(total), m.length(symbol))
        mask = m.op("Slice", mask, first, m.length(total), m.ints(1))
    return m.op("Unsqueeze", m.float(mask), m.ints(*axes))
