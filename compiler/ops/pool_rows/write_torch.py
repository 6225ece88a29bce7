"""`pool_rows` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    x, stride, how = w.read(node, 0), node.attrs["stride"], w.attr(node, "how")
    w.helper("groups_of")
    rows = f"groups_of({x}, {stride}, {bool(w.attr(node, 'keep_first'))})"
    match how:
        case "first":
            w.set(node, f"{rows}[:, ::{stride}]")
        case "min":  # of a padding mask, which is None where nothing is padding
            w.helper("all_of_groups")
            w.set(node, f"None if {x} is None else all_of_groups({rows}, {stride})")
        case _:
            w.helper("mean_of_groups")
            w.set(node, f"mean_of_groups({rows}, {stride})")
