"""`experts` in PyTorch: what one expert computes as a function of its own, and the call over all tokens."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.activation.write_torch import call
from compiler.ops.layer_norm import write_torch as layer_norm
from compiler.ops.rms_norm import write_torch as rms_norm

ROLES = (
    "gate", "up", "inner_norm.mean", "inner_norm.variance", "inner_norm.weight", "inner_norm.bias", "inner_gain",
    "down", "gate_bias", "up_bias", "down_bias",
)  # fmt: skip


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
        if w.attr(node, "inner_norm"):
            x = _normed(w, x, node)
        return linear(f"({x} * inner_gain)" if "inner_gain" in node.params else x, "down")

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


def _normed(w: Writer, x: str, node: Node) -> str:
    """The norm before the down projection; its factors come after, as a batch of experts has a row of them each."""
    norm, width = node.attrs["inner_norm"], node.attrs["d_ff"]
    plain, groups = {**norm, "gain": "none", "bias": False, "groups": 1}, norm.get("groups", 1)
    if norm["norm"] == "batch_norm":
        y = f"({x} - inner_norm_mean) / (inner_norm_variance + {norm['eps']!r}).sqrt()"
    else:
        say = rms_norm if norm["norm"] == "rms_norm" else layer_norm
        slices = f"{x}.unflatten(-1, ({groups}, -1))" if groups > 1 else x
        y = say.call(w, slices, width // groups, plain, "", "") + (".flatten(-2)" if groups > 1 else "")
    if "inner_norm.weight" in node.params:
        y += " * (1 + inner_norm_weight)" if norm.get("gain") == "one_plus" else " * inner_norm_weight"
    if norm.get("by", 1) != 1:
        y += f" * {norm['by']!r}"
    return f"({y} + inner_norm_bias)" if "inner_norm.bias" in node.params else f"({y})"


def _bracketed(expression: str) -> str:
    return f"({expression})"
