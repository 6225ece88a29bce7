"""Mamba-2: in → [z | xBC | dt], conv and SiLU on xBC, scan, norm(y·SiLU(z)), out."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.pointwise import activation, linear, norm
from compiler.ops.selective_scan.lower import conv


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    inner, rates = op.n_heads * op.d_head, op.n_groups * op.d_state
    wide = inner + 2 * rates
    both = linear(s, h, inner + wide + op.n_heads, f"{home}.in", f"{at}.in", "in" in op.bias)
    s.b.node("split", both, at=at, outputs=("z", "xbc", "dt"), sizes=[inner, wide, op.n_heads])
    xbc = conv(s, f"{at}.xbc", op.d_conv, "conv" in op.bias, home, at)
    s.b.node("split", xbc, at=at, outputs=("x", "b", "c"), sizes=[inner, rates, rates])
    params = {role: f"{home}.{role}" for role in ("a_log", "d", "dt_bias")}
    limit = list(op.dt_limit) if op.dt_limit else None
    y = s.b.node(
        "ssd", f"{at}.x", f"{at}.dt", f"{at}.b", f"{at}.c", at=f"{at}.scan", params=params, kind="scan",
        n_heads=op.n_heads, n_groups=op.n_groups, dt_limit=limit, at_least=s.at_least["scan"],
    )  # fmt: skip
    y = s.b.node("mul", y, activation(s, "silu", f"{at}.z", f"{at}.z.act"), at=f"{at}.gated")
    if op.inner_norm is not None:
        y = norm(s, op.inner_norm, y, f"{home}.inner_norm", f"{at}.inner_norm", op.n_groups)
    return linear(s, y, s.d_model, f"{home}.out", f"{at}.out", "out" in op.bias)
