"""The blocks that new tokens complete, gathered and sent through the network; earlier ones are kept, and the last rows.

Numbers of tokens and of blocks are worked out once for all layers, as is which rows make which block.
"""

import numpy as np

from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.ir.types import Dim, TensorType
from compiler.ops.activation.write_onnx import with_bias
from compiler.ops.mask_rows.write_onnx import zeroed

FIELDS = ("block", "stride", "hidden", "function")
STATE = "own"


def write(w: Writer, node: Node) -> str:
    x, mask = w.inputs
    (batch, groups, symbol, d), block, stride = w.types[0].shape, node.attrs["block"], node.attrs["stride"]
    x = zeroed(w, x, mask, w.types[0], w.types[1]) if mask else x
    if block > 1:
        kept = TensorType("float", (batch, groups, block - 1, d))
        tail = w.before("tail", kept)
        x = w.op("Concat", tail, x, axis=2)
        w.after("tail", kept, tail, w.op("Slice", x, w.length(symbol), w.ints(2**31 - 1), w.ints(2)))
    key = key_of("block rows", [block, stride, symbol])
    rows = w.op("Gather", x, w.shared(key, lambda m: _rows(m, symbol, block, stride)), axis=2)
    rows = w.op("Add", rows, w.op("Unsqueeze", w.param("positions"), w.ints(1)))  # (B, G, blocks, block, D)
    rows = w.op("Reshape", rows, w.ints(0, 0, 0, block * int(d)))
    hidden = w.op("MatMul", rows, w.param("up", transposed=True))
    hidden = with_bias(w, hidden, w.param("up_bias"), node.attrs.get("function") or "identity")
    new = w.op("Add", w.op("MatMul", hidden, w.param("down", transposed=True)), w.param("down_bias"))
    if not w.sheet.stepping:
        return new
    grows = TensorType("float", (batch, groups, f"P_{stride}", d))
    past = w.before("compressed", grows)
    present = w.op("Concat", past, new, axis=2)
    w.after("compressed", grows, past, present)
    return present


def tokens(m: Writer, symbol: Dim) -> str:
    """All tokens so far, as a number without axes."""
    total = "T" if symbol == "S" else symbol
    return m.shared(f"tokens {total}", lambda w: w.scalar(w.length(total)))


def slots(m: Writer, symbol: Dim) -> str:
    """Slots of the queries, a column (S, 1)."""

    def build(w: Writer) -> str:
        first = w.op("Sub", tokens(w, symbol), w.scalar(w.length(symbol)))
        return w.op("Unsqueeze", w.op("Range", first, tokens(w, symbol), w.whole(1)), w.ints(1))

    return m.shared(f"query column {symbol}", build)


def _rows(m: Writer, symbol: Dim, block: int, stride: int) -> str:
    """(blocks, block): the rows of each block that the new tokens complete, among them and the block - 1 before."""
    total = tokens(m, symbol)
    start = m.op("Sub", total, m.scalar(m.length(symbol)))
    whole = [m.op("Div", count, m.whole(stride)) for count in (start, total)]
    starts = m.op("Mul", m.op("Range", *whole, m.whole(1)), m.whole(stride))  # of the stride that ends each block
    first = m.op("Add", m.op("Sub", starts, start), m.whole(stride - 1))
    return m.op("Add", m.op("Unsqueeze", first, m.ints(1)), m.numbers(np.arange(block), "int"))
