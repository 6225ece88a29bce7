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
    places = next(user for user in w.graph.users(node.outputs[0]) if user.op == "slot_places")
    fields = ", ".join(f"{name}={places.attrs[name]}" for name in ("segment", "after", "slots", "rate"))
    fields += ", oldest=True" if places.attrs.get("align") == "oldest" else ""
    state, mask = "state" if w.steps else "None", node.inputs[1]
    w.helper("Slots", HELPERS)
    real = "{1}" if mask else "None"
    return w.once("slots", f"Slots({state}, {real}, {{0}}, {fields})", w.stream, *([mask] if mask else []))
