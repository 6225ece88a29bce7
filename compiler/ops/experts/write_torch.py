"""`experts` in PyTorch: what one expert computes as a function of its own, and the call over all tokens."""

from compiler.emit.torch.norms import normed
from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.activation.write_torch import call

ROLES = (
    "gate", "up", "inner_norm.mean", "inner_norm.variance", "inner_norm.weight", "inner_norm.bias", "down",
    "gate_bias", "up_bias", "down_bias",
)  # fmt: skip

INNER = "inner_norm."


def write(w: Writer, node: Node) -> None:
    roles = [role for role in ROLES if role in node.params]
    name = w.function("expert", ("x", *(role.replace(".", "_") for role in roles)), body(w, node))
    w.helper("run_experts")
    parts = ", ".join(w.param(node, role) for role in roles)
    x, weights, index = (w.read(node, i) for i in range(3))
    more = ", weigh_input=True" if w.attr(node, "weigh") == "input" else ""
    more += ", dropped=True" if w.attr(node, "dropped") else ""
    more += ", identities=True" if w.attr(node, "identities") else ""
    w.set(node, f"run_experts({name}, ({parts}), {x}, {weights}, {index}{more})")


def body(w: Writer, node: Node) -> str:
    """The expression of one expert on x (n, d), its weights (out, in); `@ .mT` goes for a batch of experts too."""

    def linear(x: str, role: str) -> str:
        return f"{x} @ {role}.mT" + (f" + {role}_bias" if f"{role}_bias" in node.params else "")

    def down(x: str) -> str:
        if norm := w.attr(node, "inner_norm"):
            own = {role.removeprefix(INNER): role.replace(".", "_") for role in node.params if role.startswith(INNER)}
            x = normed(w, norm, x, node.attrs["d_ff"], own)
        return linear(x, "down")

    function = w.attr(node, "function") or "identity"
    up = linear("x", "up")
    if not node.attrs["gated"]:
        return down(_bracketed(up) if function == "identity" else call(w, function, up))
    gate, clamp, offset = linear("x", "gate"), w.attr(node, "clamp"), w.attr(node, "up_offset")
    if clamp:
        gate, up = f"({gate}).clamp(max={clamp!r})", f"({up}).clamp({-clamp!r}, {clamp!r})"
    if offset:
        up = f"{up} + {offset!r}"
    gate = call(w, function, gate) if function != "identity" else _bracketed(gate)
    return down(f"({gate} * {_bracketed(up)})")


def _bracketed(expression: str) -> str:
    return f"({expression})"
