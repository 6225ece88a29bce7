"""`rope` in PyTorch: cos and sin once for all layers, the turn in each."""

from collections.abc import Mapping
from typing import Any

from compiler.emit.torch.numbers import floats
from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.rope.frequencies import frequencies, original_length, powers

HELPERS = "compiler.ops.rope.torch_helpers"


def table(w: Writer, attrs: Mapping[str, Any], positions: str) -> str:
    """The variable of (cos, sin) for the positions (a value of the graph), computed once."""
    _, gain = frequencies(attrs)
    inverse = _inverse(w, attrs, positions)
    pairing = "rotary_halves" if attrs.get("pairing", "half") == "half" else "rotary_pairs"
    w.helper(pairing, HELPERS)
    dtype = "torch.float32" if attrs.get("at_least", "fp32") == "fp32" else "{1}.dtype"
    extra = f", {gain!r}" if gain != 1 else ""
    return w.once("rope", f"{pairing}({{0}}, {inverse}, torch.promote_types({{1}}.dtype, {dtype}){extra})",
                  positions, w.stream)  # fmt: skip


def _inverse(w: Writer, attrs: Mapping[str, Any], positions: str) -> str:
    """Template of the inverse frequencies; {0}: the positions."""
    scaling, original = attrs.get("scaling"), original_length(attrs)
    if scaling is None and attrs.get("ladder", "open") == "open":
        theta, half = float(attrs["theta"]), attrs["dims"] // 2
        return f"self.{w.buffer('rotary', f'[{theta!r} ** (-i / {half}) for i in range({half})]')}"
    first = _numbers(w, "rotary", "frequencies", frequencies(attrs, original or 0)[0])
    if scaling is None or original is None:
        return first
    length = "{0}.shape[1]"
    if w.steps and w.type(positions).shape[1] == "S":
        length = f"{w.helper('text_length', HELPERS)}({{0}}, state)"
    if scaling["type"] == "by_length":
        beyond = _numbers(w, "rotary_long", "frequencies", frequencies(attrs, original + 1)[0])
        return f"{beyond} if {length} > {original} else {first}"
    falling = _numbers(w, "rotary_powers", "powers", powers(attrs))
    arguments = f"{first}, {falling}, {length} / {original}, {float(scaling['factor'])!r}"
    return f"{w.helper('stretched', HELPERS)}({arguments})"


def _numbers(w: Writer, hint: str, constant: str, numbers: list[float]) -> str:
    """The model's table of these numbers."""
    return f"self.{w.buffer(hint, w.const(constant, floats(numbers)))}"


def turn(w: Writer, attrs: Mapping[str, Any], x: str, rope: str, width: int) -> str:
    """Expression x (B, H, S, width) turned."""
    function = "turn_halves" if attrs.get("pairing", "half") == "half" else "turn_pairs"
    w.helper(function, HELPERS)
    start, dims = attrs.get("offset", 0), attrs["dims"]
    if dims == width:
        return f"{function}({x}, {rope})"
    w.helper("turn_part", HELPERS)
    return f"turn_part({function}, {x}, {rope}, {start}, {start + dims})"


def write(w: Writer, node: Node) -> None:
    rope = table(w, node.attrs, node.inputs[1])
    w.set(node, turn(w, node.attrs, w.read(node, 0), rope, int(w.type(node.inputs[0]).shape[-1])), keeps=0)
