"""`rope` in PyTorch: cos and sin once for all layers, the turn in each."""

from collections.abc import Mapping
from typing import Any

from compiler.emit.torch.numbers import floats
from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.rope.frequencies import frequencies


def table(w: Writer, attrs: Mapping[str, Any], positions: str) -> str:
    """The variable of (cos, sin) for the positions (a value of the graph), computed once."""
    inverse, gain = frequencies(attrs)
    half = attrs["dims"] // 2
    if attrs.get("scaling") is None and attrs.get("ladder", "open") == "open":
        numbers = f"[{float(attrs['theta'])!r} ** (-i / {half}) for i in range({half})]"
    else:
        numbers = w.const("frequencies", floats(inverse))
    buffer = w.buffer("rotary", numbers)
    pairing = "rotary_halves" if attrs.get("pairing", "half") == "half" else "rotary_pairs"
    w.helper(pairing, "compiler.ops.rope.torch_helpers")
    dtype = "torch.float32" if attrs.get("at_least", "fp32") == "fp32" else "{1}.dtype"
    extra = f", {gain!r}" if gain != 1 else ""
    return w.once("rope", f"{pairing}({{0}}, self.{buffer}, torch.promote_types({{1}}.dtype, {dtype}){extra})",
                  positions, w.stream)  # fmt: skip


def turn(w: Writer, attrs: Mapping[str, Any], x: str, rope: str, width: int) -> str:
    """Expression x (B, H, S, width) turned."""
    function = "turn_halves" if attrs.get("pairing", "half") == "half" else "turn_pairs"
    w.helper(function, "compiler.ops.rope.torch_helpers")
    start, dims = attrs.get("offset", 0), attrs["dims"]
    if dims == width:
        return f"{function}({x}, {rope})"
    w.helper("turn_part", "compiler.ops.rope.torch_helpers")
    return f"turn_part({function}, {x}, {rope}, {start}, {start + dims})"


def write(w: Writer, node: Node) -> None:
    rope = table(w, node.attrs, node.inputs[1])
    w.set(node, turn(w, node.attrs, w.read(node, 0), rope, int(w.type(node.inputs[0]).shape[-1])), keeps=0)
