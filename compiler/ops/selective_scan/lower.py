"""Mamba: in → [x | z], conv, SiLU, x → [dt | B | C], softplus(dt), scan, ·SiLU(z), out."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.pointwise import activation, linear, norm


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    both = linear(s, h, 2 * op.d_inner, f"{home}.in", f"{at}.in", "in" in op.bias)
    x = s.b.node("split", both, at=at, outputs=("x", "z"), sizes=[op.d_inner, op.d_inner])
    x = conv(s, x, op.d_conv, "conv" in op.bias, home, at)
    rest = linear(s, x, op.dt_rank + 2 * op.d_state, f"{home}.x", f"{at}.rates", False)
    sizes = [op.dt_rank, op.d_state, op.d_state]
    s.b.node("split", rest, at=at, outputs=("dt_low", "b", "c"), sizes=sizes)
    dt, b, c = f"{at}.dt_low", f"{at}.b", f"{at}.c"
    if op.rank_norm is not None:
        dt, b, c = (
            norm(s, op.rank_norm, v, f"{home}.{r}_norm", f"{at}.{r}_norm") for v, r in ((dt, "dt"), (b, "b"), (c, "c"))
        )
    dt = activation(s, "softplus", linear(s, dt, op.d_inner, f"{home}.dt", f"{at}.dt", "dt" in op.bias), f"{at}.step")
    params = {"a_log": f"{home}.a_log", "d": f"{home}.d"}
    fields = {"d_state": op.d_state, "at_least": s.at_least["scan"]}
    y = s.b.node("selective_scan", x, dt, b, c, at=f"{at}.scan", params=params, kind="scan", **fields)
    y = s.b.node("mul", y, activation(s, "silu", f"{at}.z", f"{at}.z.act"), at=f"{at}.gated")
    return linear(s, y, s.d_model, f"{home}.out", f"{at}.out", "out" in op.bias)


def conv(s: Scope, x: str, kernel: int, bias: bool, home: str, at: str) -> str:
    """The short causal convolution and its SiLU; padded rows are zero before and after it."""
    mask = s.capture("attention_mask")
    x = s.b.node("mask_rows", x, mask, at=f"{at}.kept")
    params = {"weight": f"{home}.conv.weight"} | ({"bias": f"{home}.conv.bias"} if bias else {})
    x = s.b.node("causal_conv", x, at=f"{at}.conv", params=params, kind="conv", kernel=kernel, bias=bias)
    return s.b.node("mask_rows", activation(s, "silu", x, f"{at}.conv.act"), mask, at=f"{at}.conv.kept")
