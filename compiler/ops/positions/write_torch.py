"""`positions` in PyTorch: counted on from the state in a step, unless the caller gives them."""

from compiler.emit.torch.writer import RUNTIME, Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    given = w.given(node.attrs.get("given", ""))
    state = "state" if w.steps else "None"
    ids, real = w.read(node, 0), w.read(node, 1)
    match node.attrs["counts"]:
        case "count_mask":
            w.helper("positions_of_real", f"{RUNTIME}.positions")
            call = f"positions_of_real({ids}, {real}, {state})"
        case "count_nonpad":
            w.helper("positions_of_nonpad", f"{RUNTIME}.positions")
            counted = w.counter("counted") if w.steps else "None"
            call = f"positions_of_nonpad({ids}, {w.attr(node, 'pad_id')}, {counted})"
        case _:
            w.helper("positions_in_order", f"{RUNTIME}.positions")
            call = f"positions_in_order({ids}, {state})"
    w.set(node, f"{call} if {given} is None else {given}" if given else call)
