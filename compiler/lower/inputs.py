"""Stack inputs in the main graph: ids, masks, positions, and the parts that are added up."""

from typing import Any

from compiler.ir.types import TensorType
from compiler.lower.context import Scope
from compiler.lower.find import find
from compiler.lower.pointwise import pointwise


def lower_input(s: Scope, declared: Any, lengths: tuple[str, str]) -> str:
    """One Input of stack `s`; offers `positions` and `attention_mask` to the blocks. Returns (B, new, d_model).

    lengths: symbols for new and total tokens.
    """
    new, total = lengths
    kind = next((p for p in declared.sum if p.type in ("tokens", "adaptive_tokens")), None)
    if kind is None:
        part = declared.sum[0]
        if find("parts", part.type) is None:
            s.refuse(f"input part {part.type!r}", f"/stacks/{s.stack}/input")
        ids_name, given_type = part.name, TensorType("float", ("B", new, part.width))
    else:
        ids_name, given_type = kind.name, TensorType("int", ("B", new))
    mask_name = ids_name.replace("input_ids", "attention_mask") if "input_ids" in ids_name else f"{ids_name}_mask"
    position_name = (
        ids_name.replace("input_ids", "position_ids") if "input_ids" in ids_name else f"{ids_name}_positions"
    )
    source = s.b.input(ids_name, given_type)
    mask = s.b.input(mask_name, TensorType("int", ("B", total)))
    s.outer.optional[mask_name] = "ones"
    s.outer.ids[mask_name] = ids_name
    at = f"{s.stack}.{declared.name}"
    fields = {"counts": declared.positions.type, "given": getattr(declared.positions, "name", position_name)}
    if declared.positions.type == "count_nonpad":
        fields["pad_id"] = declared.positions.pad_id
    positions = s.b.node("positions", source, mask, at=f"{at}.positions", **fields)
    s.outer.offer("positions", positions, s.type_of(positions))
    s.outer.offer("attention_mask", mask, s.type_of(mask))
    given = {"ids": source, "positions": positions, "attention_mask": mask}
    x = ""
    for part in declared.sum:
        y = _part(s, part, given, at)
        x = s.b.node("add", x, y, at=f"{at}.sum") if x else y
        if part.type == "token_types":
            s.outer.optional[part.name] = "zeros"
            s.outer.ids[part.name] = ids_name
    return pointwise(s, declared.then, x, f"{at}.then", f"{at}.then")


def _part(s: Scope, part: Any, given: dict[str, str], at: str) -> str:
    module = find("parts", part.type)
    if module is None:
        s.refuse(f"input part {part.type!r}", f"/stacks/{s.stack}/input")
    home = s.owner(f"{at}.{part.type}", part.weights)
    x = module.lower(s, part, given, home, f"{at}.{part.type}")
    if part.scale != 1:
        x = s.b.node("scale", x, at=f"{at}.{part.type}.scaled", by=part.scale)
    return pointwise(s, part.then, x, f"{home}.then", f"{at}.{part.type}.then")
