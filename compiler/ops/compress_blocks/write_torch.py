"""`compress_blocks` in PyTorch: the blocks that new tokens complete, kept beside those before."""

from compiler.emit.torch.writer import RUNTIME, Writer
from compiler.ir.graph import Node
from compiler.ops.activation.write_torch import call


def whole_span(w: Writer, k: str, key_mask: str) -> str:
    """The span over all tokens so far, of which k (B, G, S, D) holds the new ones. key_mask: a value of the graph, or
    "" where nothing is padding."""
    w.helper("Span", f"{RUNTIME}.attention")
    if w.type(k).shape[2] != w.type(w.stream).shape[1]:  # a layer that pools its rows: their own, and no step
        span = w.local("span")
        w.line(f"{span} = Span(None, {w.variable(key_mask) if key_mask else 'None'}, {w.variable(k)}[:, 0])")
        return span
    inputs = (w.stream, *([key_mask] if key_mask else []))
    return w.once("span", f"Span({'state' if w.steps else 'None'}, {'{1}' if key_mask else 'None'}, {{0}})", *inputs)


def write(w: Writer, node: Node) -> None:
    span = whole_span(w, node.inputs[0], node.inputs[1])
    cache, tail = w.cache(node) if w.steps else ("None", "None")
    stride, p = node.attrs["stride"], {role: w.param(node, role) for role in node.params}
    w.helper("block_rows")
    w.helper("keep_blocks")
    x = w.read(node, 0)
    if node.inputs[1]:
        w.helper("keep_real", "compiler.ops.mask_rows.torch_helpers")
        x = f"keep_real({x}, {w.read(node, 1)})"
    rows = w.local("rows")
    w.line(f"{rows} = block_rows({span}, {x}, {tail}, {p['positions']}, {stride})", "(B, G, new blocks, block * D)")
    hidden = f"F.linear({rows}, {p['up']}, {p['up_bias']})"
    w.line(f"{rows} = {call(w, w.attr(node, 'function') or 'identity', hidden)}")
    w.set(node, f"keep_blocks({span}, F.linear({rows}, {p['down']}, {p['down_bias']}), {cache}, {stride})")
