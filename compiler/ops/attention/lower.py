"""Attention: project → qk_norm → position → q·k … ·v → inner_norm → gate → out projection."""

from typing import Any

from compiler.lower import compressed_past, terms, zero_keys
from compiler.lower.context import Scope
from compiler.lower.extra_keys import extra_keys
from compiler.lower.find import find
from compiler.lower.masks import lowered, marked_rows, mask_inputs
from compiler.lower.pointwise import activation, learned_gate, linear, norm, projected_gate
from compiler.lower.position import rope
from compiler.masks.facts import cache_limit, looks_ahead

ALL = frozenset("qkv")


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    if s.axes > 1:
        rows = s.b.node("fold_axis", h, at=f"{at}.rows", axis=op.axis)
        y = joined(s, op, rows, home, at)
        return s.b.node("unfold_axis", y, h, at=f"{at}.grid", axis=op.axis)
    return joined(s, op, h, home, at)


def joined(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    """Heads, joined, normed, gated, projected: (B, S, d) -> (B, S, width of h)."""
    mask = lowered(s, op.mask, op.n_heads, at, content=op.source == "self" and op.key_map is None)
    marked = ""
    if op.own_projections is None:
        y = heads(s, op, h, mask, home, at)
    else:
        marked = marked_rows(s, op.own_projections.rows, h, at)
        y = _by_rows(s, op, h, mask, marked, home, at)
    if op.inner_norm is not None and op.inner_norm.scope == "head":
        y = norm(s, op.inner_norm.norm, y, f"{home}.inner_norm", f"{at}.inner_norm")
    y = s.b.node("merge_heads", y, at=f"{at}.joined")
    if op.inner_norm is not None and op.inner_norm.scope != "head":
        y = norm(s, op.inner_norm.norm, y, f"{home}.inner_norm", f"{at}.inner_norm")
    if op.gate is not None:
        y = gated(s, op, y, h, home, at)
    out = linear(s, y, s.d_model, f"{home}.o", f"{at}.o", "o" in op.bias)
    if marked and "o" in op.own_projections.of:
        own = linear(s, y, s.d_model, f"{home}.own.o", f"{at}.own.o", "o" in op.bias)
        return s.b.node("where_rows", out, own, marked, at=f"{at}.out_by_rows")
    return out


def _by_rows(s: Scope, op: Any, h: str, mask: Any, marked: str, home: str, at: str) -> str:
    """Heads (B, H, S, d_value): the marked rows look through projections of their own, the others through the usual.

    What is asked in vain is hidden where that costs nothing; it is never chosen.
    """
    own = ALL.intersection(op.own_projections.of)
    if not own:
        return heads(s, op, h, mask, home, at)
    masks = [mask, mask]
    more = any(keys.type != "sink" for keys in op.extra_keys)
    if not (more or op.key_map or op.empty_rows != "zeros") and op.source in ("self", *s.before):
        these = {"type": "queries", "of": op.own_projections.rows.model_dump(mode="json", exclude_none=True)}
        masks = [{"type": "and", "of": [mask, atom]} for atom in ({"type": "not", "of": these}, these)]
    plain = heads(s, op, h, masks[0], home, at)
    theirs = heads(s, op, h, masks[1], home, f"{at}.own", own)
    return s.b.node("where_rows", plain, theirs, marked, at=f"{at}.by_rows")


def heads(s: Scope, op: Any, h: str, mask: Any, home: str, at: str, own: frozenset[str] = frozenset()) -> str:
    """project → qk_norm → position → softmax(q·k)·v: (B, H, S, d_value). `own`: projections under `<home>.own`."""
    source, key_mask, cross = _source(s, op, h)
    _check_pooled(s, op, mask, at)
    s.memory = {"reach": _reach(s, op, mask)}
    for keys in op.extra_keys:
        if keys.type == "compressed_past":
            compressed_past.begin(s, op, keys, h, home, at)
        elif keys.type == "zeros":
            zero_keys.begin(s, op, keys, mask, h, at)
    homes = {role: f"{home}.own" if role in own else home for role in ALL}
    q = _project(s, h, op.n_heads, op.d_head, "q", op, homes["q"], at)
    k = _project(s, source, op.n_kv_heads, op.d_head, "k", op, homes["k"], at)
    v = _project(s, source, op.n_kv_heads, op.d_value, "v", op, homes["v"], at)
    if op.key_map is not None:
        k, v, key_mask = _mapped(s, op, k, v, key_mask, home, at)
    norms = op.qk_norm
    if norms is not None and (norms.scope, norms.at) == ("width", "before_position"):
        q, k = _qk_norm(s, norms, q, k, home, at)
    q = s.b.node("split_heads", q, at=f"{at}.q.heads", heads=op.n_heads)
    k = s.b.node("split_heads", k, at=f"{at}.k.heads", heads=op.n_kv_heads)
    v = s.b.node("split_heads", v, at=f"{at}.v.heads", heads=op.n_kv_heads)
    if norms is not None and norms.scope != "width" and norms.at == "before_position":
        q, k = _qk_norm(s, norms, q, k, home, at)
    plain = q
    q, k, biases = _positions(s, op, q, k, home, at)
    v = rope.values(s, op.position, v, at)
    if norms is not None and norms.at == "after_position":
        q, k = _qk_norm(s, norms, q, k, home, at)
    names, given = mask_inputs(s, mask, q, k)
    if cross:
        s.seen[op.source] = {"keys": source, "real": key_mask, "mask": mask, "names": names, "given": given}
    extra = extra_keys(s, op, h, plain, homes, home, at)
    biases += extra.biases
    return s.b.node(
        "attention", q, k, v, key_mask, *given, *(value for value, _ in biases), *extra.values, at=f"{at}.core",
        params=extra.params, kind="norm", **extra.fields,
        mask=mask, scale=op.scale, softcap=op.softcap, mask_inputs=names, bias_at=[where for _, where in biases],
        cross=cross, empty_rows=op.empty_rows, at_least=s.at_least["softmax"],
    )  # fmt: skip


def _positions(s: Scope, op: Any, q: str, k: str, home: str, at: str) -> tuple[str, str, list[tuple[str, str]]]:
    """q and k after every position term, and what the terms add to the scores."""
    biases: list[tuple[str, str]] = []
    for i, term in enumerate(op.position):
        module = find("position", term.type)
        if module is None:
            s.refuse(f"position {term.type!r}", f"{at}/position/{i}")
        if s.stream_places.get(s.reading) and term.type not in ("relative_vectors", "relative_segments"):
            s.refuse(f"position {term.type!r} for queries that stand at given places", f"{at}/position/{i}")
        q, k, more = module.lower(s, term, q, k, f"{home}.{terms.name(op, i)}", f"{at}.{terms.name(op, i)}")
        biases += more
    for i, term in enumerate(op.position):
        if finish := getattr(find("position", term.type), "finish", None):
            q = finish(s, term, q, f"{home}.{terms.name(op, i)}", f"{at}.{terms.name(op, i)}")
    return q, k, biases


def _mapped(s: Scope, op: Any, k: str, v: str, key_mask: str, home: str, at: str) -> tuple[str, str, str]:
    """Keys and values mixed along the sequence; padding counts as zero, and no key is padding after it."""
    path, of = s.owner(f"{home}.key_map", op.key_map.weights), op.key_map
    mixed = []
    for role, x in (("k", k), ("v", v)):
        x = s.b.node("mask_rows", x, key_mask, at=f"{at}.{role}.kept")
        params = {"weight": f"{path}.weight" if of.shared else f"{path}.{role}.weight"}
        mixed.append(
            s.b.node("length_projection", x, at=f"{at}.{role}.mixed", params=params, rank=of.rank, length=of.length)
        )
    return mixed[0], mixed[1], ""


def gated(s: Scope, op: Any, y: str, h: str, home: str, at: str) -> str:
    """The gate on the joined heads, from the branch input."""
    path = s.owner(f"{home}.gate", op.gate.weights)
    if op.gate.type == "learned":
        return learned_gate(s, op.gate, y, path, f"{at}.gate")
    if op.gate.of == "channel":
        return projected_gate(s, op.gate, y, h, s.width(y), path, f"{at}.gate")
    g = activation(s, op.gate.fn, linear(s, h, op.n_heads, path, f"{at}.gate", op.gate.bias), f"{at}.gate.act")
    g = s.b.node("split_heads", g, at=f"{at}.gate.heads", heads=op.n_heads)  # (B, H, S, 1)
    y = s.b.node("split_heads", y, at=f"{at}.by_head", heads=op.n_heads)
    return s.b.node("merge_heads", s.b.node("mul", y, g, at=f"{at}.gate.product"), at=f"{at}.gated")


def _source(s: Scope, op: Any, h: str) -> tuple[str, str, bool]:
    """Where keys and values come from: the value, its padding mask, and whether it is another stack."""
    if s.axes > 1:
        if op.source != "self" or op.position:
            s.refuse("attention along an axis beside positions or another source", f"/stacks/{s.stack}")
        return h, "", False
    if op.source == "self":
        return h, s.capture("attention_mask"), False
    if op.source in s.before:
        s.theirs = s.pooled.get(op.source, ())
        return s.before[op.source], s.capture_of("attention_mask", s.theirs), False
    s.theirs = ()
    return s.capture(op.source), s.capture(f"{op.source}.attention_mask"), True


def _reach(s: Scope, op: Any, mask: Any) -> int | None:
    """Queries see only keys from 0 to below so many tokens behind them; None where that is not known."""
    if s.own or s.theirs or s.stream_places.get(s.reading) or op.source != "self" or op.empty_rows != "zeros":
        return None
    return None if looks_ahead(mask) else cache_limit(mask)


def _check_pooled(s: Scope, op: Any, mask: Any, at: str) -> None:
    """Pooled rows have places, padding, marks and segments of their own; refuse what asks for more."""
    if not (s.own or s.theirs):
        return
    if any(keys.type in ("compressed_past", "zeros") for keys in op.extra_keys):
        s.refuse("compressed keys or zeros over pooled rows", at)
    if s.own == s.theirs:
        return
    if mask["type"] != "full":
        s.refuse(f"the mask {mask['type']!r} between rows of different lengths", at)
    if any(term.type == "bias_where" for term in op.position):
        s.refuse("a bias by a mask between rows of different lengths", at)


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
    if norms.scope == "heads" and norms.norm.type != "l2":  # which has no gain
        y, gain, bias = x, getattr(norms.norm, "gain", "weight"), getattr(norms.norm, "bias", False)
        if norms.norm.type != "gain":
            y = norm(s, norms.norm.model_copy(update={"gain": "none", "bias": False}), x, path, at)
        home = s.owner(path, norms.norm.weights)
        roles = [*([] if gain == "none" else ["weight"]), *(["bias"] if bias else [])]
        params = {role: f"{home}.{role}" for role in roles}
        fields: dict[str, Any] = {"gain": gain, "bias": bias}
        return s.b.node("head_gain", y, at=f"{at}.gain", params=params, kind="norm", **fields) if roles else y
    return norm(s, norms.norm, x, path, at)
