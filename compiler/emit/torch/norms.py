"""A norm inside another operator, as an expression; its factors may be rows of a batch."""

from collections.abc import Mapping
from typing import Any

from compiler.emit.torch.writer import Writer
from compiler.ops.layer_norm import write_torch as layer_norm
from compiler.ops.rms_norm import write_torch as rms_norm


def normed(w: Writer, norm: Mapping[str, Any], x: str, width: int, own: Mapping[str, str]) -> str:
    """The norm {"norm": operator, its fields, "by": a factor after it} of x (…, width).

    own: role -> expression of a parameter (…, width).
    """
    y, groups = x, norm.get("groups", 1)
    if norm["norm"] == "batch_norm":
        y = f"({x} - {own['mean']}) / ({own['variance']} + {norm['eps']!r}).sqrt()"
    elif norm["norm"] != "learned_gate":
        say = rms_norm if norm["norm"] == "rms_norm" else layer_norm
        plain = {**norm, "gain": "none", "bias": False, "groups": 1}
        slices = f"{x}.unflatten(-1, ({groups}, -1))" if groups > 1 else x
        y = say.call(w, slices, width // groups, plain, "", "") + (".flatten(-2)" if groups > 1 else "")
    if "weight" in own:
        y += f" * (1 + {own['weight']})" if norm.get("gain") == "one_plus" else f" * {own['weight']}"
    if norm.get("by", 1) != 1:
        y += f" * {norm['by']!r}"
    return f"({y} + {own['bias']})" if "bias" in own else f"({y})"
