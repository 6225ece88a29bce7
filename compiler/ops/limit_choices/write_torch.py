"""`limit_choices` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    text, share = placed(w, node), w.attr(node, "share")
    if share is not None:
        w.helper("share_out")
        text = f"share_out({text}, {float(share)!r})"
    w.set(node, text)


def placed(w: Writer, node: Node) -> str:
    """The weights of choices that found a place, 0 for the others."""
    weights, index = w.read(node, 0), w.read(node, 1)
    capacity, above, experts = w.attr(node, "capacity"), w.attr(node, "above"), node.attrs["n_experts"]
    if above is not None:
        w.helper("drop_weak")
        weights = f"drop_weak({weights}, {above!r})"
    if capacity is None:
        return weights
    w.helper("give_places")
    batch = capacity.get("over", "sequence") == "batch"
    tokens = f"{index}.shape[0] * {index}.shape[1]" if batch else f"{index}.shape[1]"
    match capacity["type"]:
        case "tokens":
            limit = repr(capacity["per_expert"])
        case "factor":
            share = f"int({capacity['factor']!r} * {tokens} / {experts})"
            limit = f"max({capacity.get('min', 0)!r}, min({tokens}, {share}))"
        case _:
            limit = f"-int(-{capacity['fraction']!r} * {tokens} // 1)"
    past = w.cache(node) if w.steps else []
    more = f", {past[0]}" if past else ""
    more += ", drop_zero=True" if above is not None else ""
    if batch:
        weights, index = f"{weights}.flatten(0, 1)[None]", f"{index}.flatten(0, 1)[None]"
    text = f"give_places({weights}, {index}, {experts}, {limit}{more})"
    return f"{text}.view_as({w.read(node, 0)})" if batch else text
