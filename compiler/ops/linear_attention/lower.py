"""Linear attention: project → conv → activation → qk_norm → position → feature map → state; inner_norm → gate → out."""

from typing import Any

from compiler.lower import terms
from compiler.lower.by_layer import ByLayer
from compiler.lower.context import Scope
from compiler.lower.find import find
from compiler.lower.pointwise import activation, linear, norm
from compiler.lower.position import rope
from compiler.ops.attention.lower import gated


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    mask = s.capture("attention_mask")
    q, k, v = (_project(s, op, h, role, home, at) for role in "qkv")
    # Padding is hidden where a key of zeros reads as none: features of zeros do not, they are hidden themselves.
    hide = ["k", "v"] if op.feature_map.type == "identity" else ["v"]
    k, v = (s.b.node("mask_rows", x, mask, at=f"{at}.{r}.kept") if r in hide else x for x, r in ((k, "k"), (v, "v")))
    if op.qk_norm is not None:
        if op.qk_norm.scope != "head":
            s.refuse(f"qk_norm over {op.qk_norm.scope}", at)
        q, k = (norm(s, op.qk_norm.norm, x, f"{home}.{r}_norm", f"{at}.{r}_norm") for x, r in ((q, "q"), (k, "k")))
    for i, term in enumerate(op.position):
        module = find("position", term.type)
        if module is None or term.type != "rope":
            s.refuse(f"position {term.type!r} of linear attention", f"{at}/position/{i}")
        q, k, _ = module.lower(s, term, q, k, home, f"{at}.{terms.name(op, i)}")
    v = rope.values(s, op.position, v, at)
    running = getattr(op.feature_map, "key_max", "") == "running"
    q = _features(s, op.feature_map, q, mask, "q", home, at)
    k = k if running else _features(s, op.feature_map, k, mask, "k", home, at)
    if op.n_kv_heads != op.n_heads:
        times = op.n_heads // op.n_kv_heads
        k, v = (s.b.node("repeat_heads", x, at=f"{at}.{r}.all", times=times) for x, r in ((k, "k"), (v, "v")))
    y = _running(s, op, q, k, v, mask, home, at) if running else _summed(s, op, q, k, v, h, home, at)
    inner = op.inner_norm
    if inner is not None and inner.scope == "head":
        y = norm(s, inner.norm, y, f"{home}.inner_norm", f"{at}.inner_norm")
    y = s.b.node("merge_heads", y, at=f"{at}.joined")
    if inner is not None and inner.scope == "width":
        y = norm(s, inner.norm, y, f"{home}.inner_norm", f"{at}.inner_norm")
    y = gated(s, op, y, h, home, at) if op.gate is not None else y
    return linear(s, y, s.d_model, f"{home}.o", f"{at}.o", "o" in op.bias)


def _summed(s: Scope, op: Any, q: str, k: str, v: str, h: str, home: str, at: str) -> str:
    """What the queries read of the decayed sum of k vᵀ: (B, H, S, d_value)."""
    more = []
    if op.decay.type == "gated":
        more.append(_decay(s, op, h, home, at))
    if op.rule == "delta":
        beta = activation(s, "sigmoid", linear(s, h, op.n_heads, f"{home}.beta", f"{at}.beta", False), f"{at}.beta.act")
        more.append(s.b.node("split_heads", beta, at=f"{at}.beta.heads", heads=op.n_heads))
    return s.b.node(
        "linear_attention", q, k, v, *more, at=f"{at}.core", scale=op.scale, rates=_rates(op), rule=op.rule,
        gated=op.decay.type == "gated", mask=op.mask.type,
        **_normaliser(op), at_least=s.at_least["scan"],
    )  # fmt: skip


def _normaliser(op: Any) -> dict[str, Any]:
    """Fields that say what the output is divided by."""
    if op.normalise.type == "none":
        return {"key_sum": None}
    more = {} if op.normalise.eps_at == "product" else {"eps_at": op.normalise.eps_at}
    return {"key_sum": op.normalise.eps, **more}


def _running(s: Scope, op: Any, q: str, k: str, v: str, mask: str, home: str, at: str) -> str:
    """Random features of keys under their maximum so far: it changes with every token, so the state is the op's own."""
    if op.decay.type != "none" or op.rule != "add" or op.mask.type != "causal":
        s.refuse("a running maximum of random features beside decays, the delta rule or a full mask", at)
    declared = op.feature_map
    return s.b.node(
        "running_feature_attention", q, k, v, mask, at=f"{at}.core", params=_projection(s, declared, home),
        kind="buffer", features=declared.features, eps=declared.eps, scale=op.scale, **_normaliser(op),
        at_least=s.at_least["scan"],
    )  # fmt: skip


def _projection(s: Scope, declared: Any, home: str) -> dict[str, str]:
    return {"projection": f"{s.owner(f'{home}.feature_map', declared.weights)}.projection"}


def _project(s: Scope, op: Any, h: str, role: str, home: str, at: str) -> str:
    heads = op.n_heads if role == "q" else op.n_kv_heads
    width = heads * (op.d_value if role == "v" else op.d_key)
    x = linear(s, h, width, f"{home}.{role}", f"{at}.{role}", role in op.bias)
    if op.conv is not None:
        path = f"{home}.{role}_conv"
        params = {"weight": f"{path}.weight"} | ({"bias": f"{path}.bias"} if op.conv.bias else {})
        fields = {"kernel": op.conv.kernel, "bias": op.conv.bias}
        x = s.b.node("causal_conv", x, at=f"{at}.{role}.conv", params=params, kind="conv", **fields)
        x = activation(s, op.conv.activation, x, f"{at}.{role}.conv.act")
    x = activation(s, op.activation, x, f"{at}.{role}.act")
    return s.b.node("split_heads", x, at=f"{at}.{role}.heads", heads=heads)


def _features(s: Scope, declared: Any, x: str, mask: str, role: str, home: str, at: str) -> str:
    """The feature map of queries or keys; features of padded keys are zero."""
    name, keys = f"{at}.{role}.features", role == "k"
    match declared.type:
        case "identity":
            return x
        case "random_exp":
            given = (x, mask) if keys else (x,)
            fields = {"features": declared.features, "eps": declared.eps, "keys": keys}
            y = s.b.node(
                "random_features", *given, at=name, params=_projection(s, declared, home), kind="buffer", **fields
            )
        case _:
            y = s.b.node("activation", x, at=name, function=declared.type)
    return s.b.node("mask_rows", y, mask, at=f"{name}.kept") if keys else y


def _decay(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    """Log decays (B, H, S, 1 or d_key)."""
    width = op.n_heads * (op.d_key if op.decay.per == "channel" else 1)
    path = s.owner(f"{home}.decay", op.decay.weights)
    if op.decay.rank is not None:
        h, path = linear(s, h, op.decay.rank, f"{path}.down", f"{at}.decay.down", False), f"{path}.up"
    biased = op.decay.fn == "sigmoid" and op.decay.rank is not None  # GLA's second projection has a bias
    x = linear(s, h, width, path, f"{at}.decay", biased)
    params = {"a": f"{path}.a", "bias": f"{path}.dt_bias"} if op.decay.fn == "exp_softplus" else {}
    x = s.b.node(
        "log_decay", x, at=f"{at}.decay.log", params=params, kind="scan", function=op.decay.fn, divide=op.decay.divide
    )
    return s.b.node("split_heads", x, at=f"{at}.decay.heads", heads=op.n_heads)


def _rates(op: Any) -> list[float] | dict[str, str] | None:
    """One fixed decay for each head, or where each layer has its own."""
    if op.decay.type != "fixed":
        return None
    rate = op.decay.rate
    if isinstance(rate, ByLayer):
        return {"by_layer": rate.key}
    return list(rate) if isinstance(rate, list | tuple) else [rate] * op.n_heads
