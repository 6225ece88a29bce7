"""Attention: project → qk_norm → position → q·k … ·v → inner_norm → gate → out projection."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.extra_keys import extra_keys
from compiler.lower.find import find
from compiler.lower.masks import mask_inputs
from compiler.lower.pointwise import activation, linear, norm, projected_gate


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    s.only(op, at, key_map=None, own_projections=None, axis=0)
    source, key_mask, cross = _source(s, op, h)
    q = _project(s, h, op.n_heads, op.d_head, "q", op, home, at)
    k = _project(s, source, op.n_kv_heads, op.d_head, "k", op, home, at)
    v = _project(s, source, op.n_kv_heads, op.d_value, "v", op, home, at)
    norms = op.qk_norm
    if norms is not None and (norms.scope, norms.at) == ("width", "before_position"):
        q, k = _qk_norm(s, norms, q, k, home, at)
    q = s.b.node("split_heads", q, at=f"{at}.q.heads", heads=op.n_heads)
    k = s.b.node("split_heads", k, at=f"{at}.k.heads", heads=op.n_kv_heads)
    v = s.b.node("split_heads", v, at=f"{at}.v.heads", heads=op.n_kv_heads)
    if norms is not None and norms.scope != "width" and norms.at == "before_position":
        q, k = _qk_norm(s, norms, q, k, home, at)
    biases: list[tuple[str, str]] = []
    for i, term in enumerate(op.position):
        module = find("position", term.type)
        if module is None:
            s.refuse(f"position {term.type!r}", f"{at}/position/{i}")
        q, k, more = module.lower(s, term, q, k, f"{home}.{term.type}", f"{at}.{term.type}")
        biases += more
    for term in op.position:
        if hasattr(module := find("position", term.type), "finish"):
            q = module.finish(s, term, q, f"{home}.{term.type}", f"{at}.{term.type}")
    if norms is not None and norms.at == "after_position":
        q, k = _qk_norm(s, norms, q, k, home, at)
    mask = op.mask.model_dump(mode="json", exclude_none=True)
    names, given = mask_inputs(s, mask, q, k)
    extra = extra_keys(s, op, h, home, at)
    y = s.b.node(
        "attention", q, k, v, key_mask, *given, *(value for value, _ in biases), *extra.values, at=f"{at}.core",
        params=extra.params, kind="norm", **extra.fields,
        mask=mask, scale=op.scale, softcap=op.softcap, mask_inputs=names, bias_at=[where for _, where in biases],
        cross=cross, empty_rows=op.empty_rows, at_least=s.at_least["softmax"],
    )  # fmt: skip
    if op.inner_norm is not None and op.inner_norm.scope == "head":
        y = norm(s, op.inner_norm.norm, y, f"{home}.inner_norm", f"{at}.inner_norm")
    y = s.b.node("merge_heads", y, at=f"{at}.joined")
    if op.inner_norm is not None and op.inner_norm.scope != "head":
        y = norm(s, op.inner_norm.norm, y, f"{home}.inner_norm", f"{at}.inner_norm")
    if op.gate is not None:
        y = gated(s, op, y, h, home, at)
    return linear(s, y, s.width(h), f"{home}.o", f"{at}.o", "o" in op.bias)


def gated(s: Scope, op: Any, y: str, h: str, home: str, at: str) -> str:
    """The gate on the joined heads, from the branch input."""
    if op.gate.type != "projected":
        s.refuse("a learned gate on the joined heads", at)
    path = s.owner(f"{home}.gate", op.gate.weights)
    if op.gate.of == "channel":
        return projected_gate(s, op.gate, y, h, s.width(y), path, f"{at}.gate")
    g = activation(s, op.gate.fn, linear(s, h, op.n_heads, path, f"{at}.gate", False), f"{at}.gate.act")
    g = s.b.node("split_heads", g, at=f"{at}.gate.heads", heads=op.n_heads)  # (B, H, S, 1)
    y = s.b.node("split_heads", y, at=f"{at}.by_head", heads=op.n_heads)
    return s.b.node("merge_heads", s.b.node("mul", y, g, at=f"{at}.gate.product"), at=f"{at}.gated")


def _source(s: Scope, op: Any, h: str) -> tuple[str, str, bool]:
    """Where keys and values come from: the value, its padding mask, and whether it is another stack."""
    if op.source == "self":
        return h, s.capture("attention_mask"), False
    if op.source in s.streams:
        return s.streams[op.source], s.capture("attention_mask"), False
    return s.capture(op.source), s.capture(f"{op.source}.attention_mask"), True


def _project(s: Scope, x: str, heads: int, width: int, role: str, op: Any, home: str, at: str) -> str:
    return linear(s, x, heads * width, f"{home}.{role}", f"{at}.{role}", role in op.bias)


def _qk_norm(s: Scope, norms: Any, q: str, k: str, home: str, at: str) -> tuple[str, str]:
    """scope "head": over the head size, one gain shared by all heads; "heads": one gain for each head; "width": over
    the joined heads."""
    return _normed(s, norms, q, f"{home}.q_norm", f"{at}.q_norm"), _normed(
        s, norms, k, f"{home}.k_norm", f"{at}.k_norm"
    )


def _normed(s: Scope, norms: Any, x: str, path: str, at: str) -> str:
    shape = s.type_of(x).shape
    if norms.scope == "width" and len(shape) == 4:
        y = norm(s, norms.norm, s.b.node("merge_heads", x, at=f"{at}.joined"), path, at)
        return s.b.node("split_heads", y, at=f"{at}.heads", heads=shape[1])
    if norms.scope == "heads" and norms.norm.type in ("rms", "layer"):
        plain = norms.norm.model_copy(update={"gain": "none", "bias": False})
        y = norm(s, plain, x, path, at)
        home = s.owner(path, norms.norm.weights)
        fields = {"gain": norms.norm.gain, "bias": norms.norm.bias}
        roles = [*([] if norms.norm.gain == "none" else ["weight"]), *(["bias"] if norms.norm.bias else [])]
        params = {role: f"{home}.{role}" for role in roles}
        return s.b.node("head_gain", y, at=f"{at}.gain", params=params, kind="norm", **fields) if roles else y
    return norm(s, norms.norm, x, path, at)
