"""`zero_keys` in PyTorch: one row of zeros stands for all, as the attention adds up their shares."""

from compiler.emit.torch.masks import rule
from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.attention.write_torch import HELPERS, view


def write(w: Writer, node: Node) -> None:
    x, heads, count = w.read(node, 0), node.attrs["heads"], node.attrs["count"]
    for value, width in zip(node.outputs, (node.attrs["d_key"], node.attrs["d_value"]), strict=False):
        w.names[value] = f"{x}.new_zeros({x}.shape[0], {heads}, 1, {width})"
    reader = next(user for user in w.graph.users(node.outputs[0]) if user.op == "attention")
    span = view(w, reader, reader.inputs[3], {})[0]
    queries = f"{span}.i" if span else w.once("rows", "torch.arange({0}.shape[1], device={0}.device)", w.stream)
    places = w.once("before", f"torch.arange({-count}, 0, device={{0}}.device)", w.stream)
    w.names[node.outputs[2]], w.names[node.outputs[3]] = queries, places  # (S,), (count,): the same in every row
    w.helper("hiding", HELPERS)
    sees = w.function("sees", ("i", "j"), rule(node.attrs["mask"], "j.shape[1]", {}))
    seen = f"hiding({sees}({queries}[:, None], {places}[None, :]), {{0}})"
    w.names[node.outputs[4]] = w.once("mask", seen, w.stream)  # (1, 1|H, S, count), added to the scores
