"""Compressed memory: slots made of the branch input, keys and values from them, scores by their distance."""

from collections.abc import Mapping
from typing import Any

from compiler.lower import terms
from compiler.lower.context import Scope
from compiler.lower.pointwise import linear, norm
from compiler.ops.slot_places.shape import in_view


def begin(s: Scope, op: Any, keys: Any, h: str, home: str, at: str) -> None:
    """The slots and everybody's places, before the position terms ask for them."""
    terms.check_beside(s, op, "a compressed past", at)
    path = s.owner(f"{home}.compressed", keys.weights)
    params = {role: f"{path}.{role}" for role in ("weight", "bias")} if keys.map == "conv" else {}
    slots = s.b.node(
        "compress_rows", h, s.capture("attention_mask"), at=f"{at}.compressed", params=params,
        outputs=("slots", "real"), rate=keys.rate, map=keys.map,
    )  # fmt: skip
    shift = s.b.node(
        "slot_places", h, slots, at=f"{at}.compressed", outputs=("shift", "near", "number"), align=keys.align,
        **extent(keys),
    )  # fmt: skip
    made = s.b.nodes[-1].outputs
    s.memory |= {
        "slots": slots, "real": s.b.nodes[-2].outputs[1], "near": made[1], "number": made[2],
        "shift": shift if keys.align == "oldest" else "", "far": in_view(extent(keys)),
    }  # fmt: skip


def extent(keys: Any) -> dict[str, Any]:
    return {name: getattr(keys, name) for name in ("segment", "after", "slots", "rate")}


def keys_values(s: Scope, op: Any, homes: Mapping[str, str], home: str, at: str) -> list[str]:
    """The slots through the projections of keys and values."""
    made = []
    for role, width in (("k", op.d_head), ("v", op.d_value)):
        path, bias = f"{homes[role]}.{role}", role in op.bias
        y = linear(s, s.memory["slots"], op.n_kv_heads * width, path, f"{at}.slots.{role}", bias)
        y = s.b.node("split_heads", y, at=f"{at}.slots.{role}.heads", heads=op.n_kv_heads)
        if role == "k" and op.qk_norm is not None:
            if op.qk_norm.scope != "head":
                s.refuse("a compressed past under a qk_norm that is not by head", at)
            y = norm(s, op.qk_norm.norm, y, f"{home}.k_norm", f"{at}.slots.k_norm")
        made.append(y)
    return made
