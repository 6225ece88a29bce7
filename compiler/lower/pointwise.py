"""Norms, activations and the other steps that keep the shape: (…, width) -> (…, width)."""

from collections.abc import Sequence
from typing import Any

from archspec.errors import InputError
from compiler.lower.context import Scope


def norm(s: Scope, declared: Any, x: str, path: str, at: str, groups: int = 1) -> str:
    """A Norm of the spec on the last axis; `path` prefixes its parameters, `at` names the value.

    groups: the statistics are taken over so many slices of the width (an rms norm only).
    """
    home = s.owner(path, getattr(declared, "weights", None))
    match declared.type:
        case "rms" | "layer":
            op = "rms_norm" if declared.type == "rms" else "layer_norm"
            roles = [] if declared.gain == "none" else ["weight"]
            roles += ["bias"] if declared.bias else []
            fields = {"eps": declared.eps, "gain": declared.gain, "bias": declared.bias, "eps_at": declared.eps_at}
            if groups > 1:
                fields["groups"] = groups
            params = {role: f"{home}.{role}" for role in roles}
            return s.b.node(op, x, at=at, params=params, kind="norm", **fields, at_least=s.at_least["norm"])
        case "l2":
            # x / sqrt(sum x² + eps) is the norm by the mean with eps / width, over the root of the width.
            width, inside = s.width(x), declared.eps_at == "inside"
            fields = {"eps": declared.eps / (width if inside else width**0.5), "eps_at": declared.eps_at}
            y = s.b.node(
                "rms_norm", x, at=f"{at}.mean", kind="norm", gain="none", at_least=s.at_least["norm"], **fields
            )
            return s.b.node("scale", y, at=at, by=width**-0.5)
        case "group":
            if len(s.type_of(x).shape) != 3:
                s.refuse("a group norm of each head", path)
            if s.width(x) % declared.groups:
                raise InputError(
                    f"found {declared.groups} groups, which do not divide the width {s.width(x)}",
                    source=s.spec_name,
                    path=path,
                )
            roles = [*([] if declared.gain == "none" else ["weight"]), *(["bias"] if declared.bias else [])]
            fields = {"eps": declared.eps, "gain": declared.gain, "bias": declared.bias, "groups": declared.groups}
            params = {role: f"{home}.{role}" for role in roles}
            return s.b.node("layer_norm", x, at=at, params=params, kind="norm", **fields, at_least=s.at_least["norm"])
        case "batch":
            roles = ["mean", "variance"] + ([] if declared.gain == "none" else ["weight"])
            params = {role: f"{home}.{role}" for role in [*roles, *(["bias"] if declared.bias else [])]}
            kept = {"eps": declared.eps, "gain": declared.gain, "bias": declared.bias}
            return s.b.node("batch_norm", x, at=at, params=params, kind="norm", at_least=s.at_least["norm"], **kept)
        case "gain":
            return s.b.node("learned_gate", x, at=at, params={"weight": f"{home}.weight"}, kind="norm", of="channel")
    s.refuse(f"norm {declared.type!r}", path)


def linear(s: Scope, x: str, width: int, path: str, at: str, bias: bool, kind: str = "linear") -> str:
    """x Wᵀ, and its bias as a node of its own (a pass joins them again)."""
    y = s.b.node("linear", x, at=at, params={"weight": f"{path}.weight"}, kind=kind, width=width)
    return s.b.node("bias", y, at=f"{at}.bias", params={"bias": f"{path}.bias"}, kind="norm") if bias else y


def pointwise(s: Scope, steps: Sequence[Any], x: str, path: str, at: str) -> str:
    """A `then` list in order; parameters live at `<path>.<index>`."""
    for i, step in enumerate(steps):
        here, name = s.owner(f"{path}.{i}", getattr(step, "weights", None)), f"{at}.{i}"
        match step.type:
            case "linear":
                x = linear(s, x, step.width, here, name, step.bias)
            case "activation":
                x = activation(s, step.kind, x, name)
            case "scale":
                x = s.b.node("scale", x, at=name, by=step.by)
            case _:
                x = norm(s, step, x, f"{path}.{i}", name)
    return x


def activation(s: Scope, kind: str, x: str, at: str) -> str:
    return x if kind == "identity" else s.b.node("activation", x, at=at, function=kind)


def learned_gate(s: Scope, declared: Any, y: str, home: str, at: str) -> str:
    """y · fn(g) with a learned g, one number or one for each channel."""
    function = None if declared.fn == "identity" else declared.fn
    params = {"weight": f"{home}.weight"}
    return s.b.node("learned_gate", y, at=at, params=params, kind="norm", function=function, of=declared.of)


def projected_gate(s: Scope, declared: Any, y: str, h: str, width: int, home: str, at: str) -> str:
    """y · fn(W h + b) with `width` gates; W is a product of two with a rank."""
    if declared.rank is not None:
        h = linear(s, h, declared.rank, f"{home}.down", f"{at}.down", False)
        home = f"{home}.up"
    g = activation(s, declared.fn, linear(s, h, width, home, at, declared.bias), f"{at}.act")
    return s.b.node("mul", y, g, at=f"{at}.product")
