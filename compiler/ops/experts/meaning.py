"""Reference meaning of `experts`."""

import torch
from torch import Tensor

from compiler import ops
from compiler.ops.activation.meaning import activate
from compiler.ops.base import Attrs
from compiler.ops.context import Context

INNER = "inner_norm."  # prefix of its parameters' roles


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    x, weights, index = inputs
    out = torch.zeros_like(x)
    if attrs.get("dropped"):
        index = index.masked_fill(weights == 0, -1)
    for e in range(attrs["n_experts"]):
        weight = torch.where(index == e, weights, 0.0).sum(-1, keepdim=True)  # (B, S, 1)
        chosen = (index == e).any(-1, keepdim=True)
        given = x * weight if attrs.get("weigh") == "input" else x
        y = expert(given, e, params, attrs)
        out = out + torch.where(chosen, y if attrs.get("weigh") == "input" else y * weight, 0.0)
    if attrs.get("identities"):
        out = out + x * torch.where(index >= attrs["n_experts"], weights, 0.0).sum(-1, keepdim=True)
    return (out,)


def expert(x: Tensor, e: int, params: dict[str, Tensor], attrs: Attrs) -> Tensor:
    """One expert on all tokens."""

    def linear(x: Tensor, role: str) -> Tensor:
        y = x @ params[role][e].T
        return y + params[f"{role}_bias"][e] if role in attrs.get("bias", []) else y

    def down(y: Tensor) -> Tensor:
        if (norm := attrs.get("inner_norm")) is not None:
            own = {role.removeprefix(INNER): p[e] for role, p in params.items() if role.startswith(INNER)}
            y = ops.meaning(norm["norm"]).run([y], own, norm, Context())[0] * norm.get("by", 1)
        return linear(y, "down")

    up = linear(x, "up")
    if not attrs["gated"]:
        return down(activate(up, attrs["function"]) if attrs.get("function") else up)
    gate = linear(x, "gate")
    if attrs.get("clamp"):
        gate, up = gate.clamp(max=attrs["clamp"]), up.clamp(-attrs["clamp"], attrs["clamp"])
    gate = activate(gate, attrs["function"]) if attrs.get("function") else gate
    return down(gate * (up + attrs.get("up_offset", 0)))
