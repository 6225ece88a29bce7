"""Norms, activations and the other steps that keep the shape: (…, width) -> (…, width)."""

from collections.abc import Sequence
from typing import Any

from archspec.errors import InputError
from compiler.lower.context import Scope


def norm(s: Scope, declared: Any, x: str, path: str, at: str, groups: int = 1) -> str:
    """A Norm of the spec on the last axis; `path` prefixes its parameters, `at` names the value.

    groups: the statistics are taken over so many slices of the width (of an rms or layer norm only).
    """
    home = s.owner(path, getattr(declared, "weights", None))
    op, roles, fields, by = normed(s, declared, s.width(x), path)
    if groups > 1 and declared.type in ("rms", "layer"):
        fields["groups"] = groups
    params = {role: f"{home}.{role}" for role in roles}
    y = s.b.node(op, x, at=at if by == 1 else f"{at}.mean", params=params, kind="norm", **fields)
    return y if by == 1 else s.b.node("scale", y, at=at, by=by)


def normed(s: Scope, declared: Any, width: int, path: str) -> tuple[str, list[str], dict[str, Any], float]:
    """A Norm over `width` channels: its operator, the roles of its parameters, its fields, and a factor after it."""
    if declared.type == "gain":
        return "learned_gate", ["weight"], {"of": "channel"}, 1
    roles = [] if getattr(declared, "gain", "none") == "none" else ["weight"]
    roles += ["bias"] if getattr(declared, "bias", False) else []
    fields: dict[str, Any] = {"eps": declared.eps, "gain": getattr(declared, "gain", "none")}
    fields["at_least"] = s.at_least["norm"]
    match declared.type:
        case "rms" | "layer":
            op = "rms_norm" if declared.type == "rms" else "layer_norm"
            return op, roles, fields | {"bias": declared.bias, "eps_at": declared.eps_at}, 1
        case "l2":
            # x / sqrt(sum x² + eps) is the norm by the mean with eps / width, over the root of the width.
            eps = declared.eps / (width if declared.eps_at == "inside" else width**0.5)
            return "rms_norm", roles, fields | {"eps": eps, "eps_at": declared.eps_at}, width**-0.5
        case "group":
            if width % declared.groups:
                raise InputError(
                    f"found {declared.groups} groups, which do not divide the width {width}",
                    source=s.spec_name,
                    path=path,
                )
            return "layer_norm", roles, fields | {"bias": declared.bias, "groups": declared.groups}, 1
        case "batch":
            return "batch_norm", ["mean", "variance", *roles], fields | {"bias": declared.bias}, 1
    s.refuse(f"norm {declared.type!r}", path)


def inner_norm(s: Scope, declared: Any, width: int, path: str, part: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A norm inside another operator: its field there, and its parameters with `part` before their roles."""
    home = s.owner(path, getattr(declared, "weights", None))
    op, roles, fields, by = normed(s, declared, width, path)
    return {"norm": op, **fields} | ({"by": by} if by != 1 else {}), {f"{part}.{r}": f"{home}.{r}" for r in roles}


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
