"""`positions` in PyTorch: counted on from the state in a step, unless the caller gives them."""

from compiler.emit.torch.writer import RUNTIME, Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    given = w.given(node.attrs.get("given", ""))
    ids, real = w.read(node, 0), w.read(node, 1)
    match node.attrs["counts"]:
        case "count_mask":
            name, arguments, extra = "counts_of_real", [ids, real], "state"
        case "count_nonpad":
            name, arguments = "counts_of_nonpad", [ids, repr(w.attr(node, "pad_id"))]
            extra = w.counter("counted") if w.steps else ""
        case _:
            name, arguments, extra = "slots", [ids], "state"
    if w.steps:
        name, arguments = f"{name}_from", [*arguments, extra]
    w.helper(name, f"{RUNTIME}.positions")
    call = f"{name}({', '.join(arguments)})"
    w.set(node, f"{call} if {given} is None else {given}" if given else call)
