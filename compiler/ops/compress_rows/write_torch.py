"""`compress_rows` in PyTorch: which slots there are is worked out once for all layers."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node

HELPERS = "compiler.ops.compress_rows.torch_helpers"


def write(w: Writer, node: Node) -> None:
    slots = slots_of(w, node)
    past = w.cache(node)[0] if w.steps else "None"
    rows = f"{slots}.rows({w.read(node, 0)}, {past})"
    match node.attrs["map"]:
        case "conv":
            w.helper("mix_rows")
            w.set(node, f"mix_rows({rows}, {w.param(node, 'weight')}, {w.param(node, 'bias')})")
        case "mean":
            w.set(node, f"{rows}.mean(2)")
        case _:
            w.set(node, f"{rows}.amax(2)")
    w.names[node.outputs[1]] = f"{slots}.mask"


def slots_of(w: Writer, node: Node) -> str:
    """The variable of the slots that this `compress_rows` makes."""
    users = w.graph.users(node.outputs[0]) + w.graph.users(node.outputs[1])
    extent = next(user.attrs["compressed"] for user in users if user.op == "attention")
    fields = ", ".join(f"{name}={extent[name]}" for name in ("segment", "after", "slots", "rate"))
    if any(user.op == "slot_places" and user.attrs.get("align") == "oldest" for user in users):
        fields += ", oldest=True"
    state, mask = "state" if w.steps else "None", node.inputs[1]
    w.helper("Slots", HELPERS)
    real = "{1}" if mask else "None"
    return w.once("slots", f"Slots({state}, {real}, {{0}}, {fields})", w.stream, *([mask] if mask else []))
