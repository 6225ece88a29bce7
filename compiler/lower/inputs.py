"""Stack inputs in the main graph: ids, masks, positions, and the parts that are added up."""

from dataclasses import dataclass
from typing import Any

from archspec.errors import InputError
from compiler.ir.types import TensorType
from compiler.lower.context import Scope
from compiler.lower.find import find
from compiler.lower.pointwise import pointwise


@dataclass(frozen=True)
class Rows:
    """One input of a stack: its rows (B, n, d_model), their positions, and which are real ("": all of them)."""

    value: str
    positions: str
    mask: str
    places: str = ""  # where in the sequence its rows stand, if not each at its own slot


def lower_inputs(s: Scope, stack: Any, lengths: tuple[str, str]) -> dict[str, str]:
    """All inputs of the stack: name -> rows, and "input": joined. Offers `positions` and `attention_mask` to blocks."""
    first = [i for i in stack.inputs if i.sum[0].type not in ("latents", "placeholder")]
    later = [i for i in stack.inputs if i not in first]
    found = {i.name: lower_input(s, i, lengths, stack) for i in (*first, *later)}
    rows = [found[i.name] for i in stack.inputs]
    values = {i.name: found[i.name].value for i in stack.inputs}
    apart = set(stack.streams.values()) - {"zero", "input"}
    if len(rows) == 1 or apart:
        main = found[(first or later)[0].name]
        if apart:
            s.stream_places = {stream: found[name].places for stream, name in stack.streams.items() if name in found}
        lengthy = [r for r in rows if not r.places]
        if len(lengthy) > 1:
            s.refuse("streams of several inputs that each have a length of their own", f"/stacks/{s.stack}/streams")
        for r in rows:
            if r.places:
                s.outer.offer(r.places, r.places, s.type_of(r.places))
        joined, positions, mask = main.value, main.positions, main.mask
        mask = mask or s.b.node("join_masks", joined, "", at=f"{s.stack}.attention_mask")
    else:
        if any(r.places for r in rows):
            s.refuse("rows at given places joined with others", f"/stacks/{s.stack}/input")
        joined = s.b.node("concat", *(r.value for r in rows), at=f"{s.stack}.joined", axis=-2)
        positions = s.b.node("concat", *(r.positions for r in rows), at=f"{s.stack}.positions", axis=-1)
        pairs = [value for r in rows for value in (r.value, r.mask)]
        mask = s.b.node("join_masks", *pairs, at=f"{s.stack}.attention_mask")
        s.segment_rows = {i.name: s.type_of(found[i.name].value).shape[1] for i in stack.inputs}
    s.outer.offer("attention_mask", mask, s.type_of(mask))
    s.outer.offer("positions", positions, s.type_of(positions))
    return values | {"input": joined}


def lower_input(s: Scope, declared: Any, lengths: tuple[str, str], stack: Any) -> Rows:
    """One Input of stack `s`. lengths: symbols for new and total tokens."""
    new, total = lengths
    at = f"{s.stack}.{declared.name}"
    kind = next((p for p in declared.sum if p.type in ("tokens", "adaptive_tokens")), declared.sum[0])
    if find("parts", kind.type) is None:
        s.refuse(f"input part {kind.type!r}", f"/stacks/{s.stack}/input")
    match kind.type:
        case "tokens" | "adaptive_tokens":
            name, type_ = kind.name, TensorType("int", ("B", new))
        case "features":
            grid = [f"S_{s.stack}_{axis}" for axis in range(1, s.axes)]
            name, type_ = kind.name, TensorType("float", ("B", kind.count or new, *grid, kind.width))
        case "patches":
            name, type_ = kind.name, TensorType("float", ("B", kind.channels, kind.size, kind.size))
        case "audio_conv":
            name, type_ = kind.name, TensorType("float", ("B", new))
        case "placeholder":
            name, type_ = kind.rows, TensorType("float", ("B", f"S_{declared.name}", new))
        case _:
            return _unasked(s, declared, at)
    if s.b.inputs.get(name, type_) != type_:
        told = f"{name!r} is read by another stack too, as {s.b.inputs[name]}: give this part a name of its own"
        raise InputError(f"{told}, such as 'decoder_input_ids'", source=s.spec_name, path=f"/stacks/{s.stack}/input")
    source = s.b.input(name, type_)
    if kind.type == "placeholder":
        places = s.b.node("row_places", source, at=f"{at}.places")
        given = {"ids": source, "positions": places, "attention_mask": ""}
        return Rows(_sum(s, declared, given, at, ""), places, "", places)
    given = {"ids": source, "attention_mask": "", "positions": ""}
    if s.axes > 1:
        if len(declared.sum) > 1 or kind.type != "features":
            s.refuse("a grid that is not given as features alone", f"/stacks/{s.stack}/input")
        return Rows(_sum(s, declared, given, at, ""), _grid_positions(s, source, at), "")
    if kind.type in ("patches", "audio_conv") or (kind.type == "features" and kind.count):
        return _after(s, declared, given, at)
    mask_name = name.replace("input_ids", "attention_mask") if "input_ids" in name else f"{name}_mask"
    position_name = name.replace("input_ids", "position_ids") if "input_ids" in name else f"{name}_positions"
    mask = s.b.input(mask_name, TensorType("int", ("B", total)))
    s.outer.optional[mask_name] = "ones"
    s.outer.ids[mask_name] = name
    given |= {"attention_mask": mask, "positions": _positions(s, declared, source, mask, at, position_name)}
    s.outer.offer(position_name, given["positions"], s.type_of(given["positions"]))  # a rope may ask by name
    return Rows(_sum(s, declared, given, at, name), given["positions"], mask)


def _unasked(s: Scope, declared: Any, at: str) -> Rows:
    """Rows that no model input is read for."""
    return _after(s, declared, {"ids": "", "attention_mask": "", "positions": ""}, at)


def _after(s: Scope, declared: Any, given: dict[str, str], at: str) -> Rows:
    """Rows whose number the first part tells: positions are counted over what it makes."""
    x = _part(s, declared.sum[0], given, at)
    given["positions"] = _positions(s, declared, x, s.b.node("join_masks", x, "", at=f"{at}.real"), at, "")
    return Rows(_sum(s, declared, given, at, "", x), given["positions"], "")


def _grid_positions(s: Scope, source: str, at: str) -> str:
    """Places along the first axis; nothing that reads positions is allowed on a grid."""
    return s.b.node("positions", source, s.b.node("join_masks", source, "", at=f"{at}.real"), at=f"{at}.positions",
                    counts="index")  # fmt: skip


def _positions(s: Scope, declared: Any, rows: str, mask: str, at: str, name: str) -> str:
    fields = {"counts": declared.positions.type, "given": getattr(declared.positions, "name", name)}
    if declared.positions.type == "count_nonpad":
        fields["pad_id"] = declared.positions.pad_id
    return s.b.node("positions", rows, mask, at=f"{at}.positions", **fields)


def _sum(s: Scope, declared: Any, given: dict[str, str], at: str, ids_name: str, first: str = "") -> str:
    """The parts added up, and what follows them. first: the value of the first part, where it is made already."""
    x = first
    for part in declared.sum[1:] if first else declared.sum:
        y = _part(s, part, given, at)
        x = s.b.node("add", x, y, at=f"{at}.sum") if x else y
        if part.type == "token_types":
            s.outer.optional[part.name] = "zeros"
            s.outer.ids[part.name] = ids_name
    home = f"{at}.then"
    return pointwise(s, declared.then, x, home, home)


def _part(s: Scope, part: Any, given: dict[str, str], at: str) -> str:
    module = find("parts", part.type)
    if module is None:
        s.refuse(f"input part {part.type!r}", f"/stacks/{s.stack}/input")
    home = s.owner(f"{at}.{part.type}", part.weights)
    x = module.lower(s, part, given, home, f"{at}.{part.type}")
    if part.scale != 1:
        x = s.b.node("scale", x, at=f"{at}.{part.type}.scaled", by=part.scale)
    return pointwise(s, part.then, x, f"{home}.then", f"{at}.{part.type}.then")
