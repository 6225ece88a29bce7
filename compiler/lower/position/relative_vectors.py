"""Scores with vectors by distance (Shaw; Transformer-XL's u, v and r)."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.pointwise import inner_norm
from compiler.lower.resample import spacing


def lower(s: Scope, term: Any, q: str, k: str, home: str, at: str) -> tuple[str, str, list[tuple[str, str]]]:
    shift = s.memory.get("shift")
    places = (shift,) if shift else s.places(q, k)
    return q, k, [(scores(s, term, q, k, places, home, at), "before_scale")]


def scores(s: Scope, term: Any, q: str, k: str, places: tuple[str, ...], home: str, at: str) -> str:
    """Scores of all pairs before the scale. places: those of queries and keys, or a shift of the queries' slots."""
    vectors, path = term.vectors, s.owner(home, term.weights)
    sinusoid = vectors.type == "sinusoid"
    if "s" in term.terms and sinusoid:
        s.refuse("a learned number for each of the distances of a sinusoid, which have no end", at)
    own = term.projection == "own"
    if term.projection == "shared" or (own and not sinusoid):
        s.refuse(f"relative vectors from a {vectors.type} with projection {term.projection!r}", at)
    terms = [t for t in ("q_r", "k_r", "v_r", "s") if t in term.terms]
    if not terms:
        s.refuse("relative vectors that meet neither q, k, v nor s", at)
    table = s.owner(f"{path}.table", getattr(vectors, "weights", None))
    params = {"table": f"{table}.weight"} if not sinusoid else {"r": f"{path}.r.weight"} if own else {}
    params |= {role: f"{path}.{role}.weight" for role, name in (("v", "v_r"), ("s", "s")) if name in terms}
    fields = vectors.model_dump(mode="json", exclude_none=True, exclude={"weights", "norm"})
    if getattr(vectors, "norm", None) is not None:
        width = int(s.type_of(q).shape[3])
        fields["norm"], inside = inner_norm(s, vectors.norm, width, f"{path}.table_norm", "norm")
        params |= inside
    far = s.memory.get("far" if places else "reach") if places or sinusoid else None
    more: dict[str, Any] = {"far": far} if far else {}
    if s.own or s.theirs:
        more["spacing"] = [spacing(s.own), spacing(s.theirs)]
    if term.skip_first:
        more["skip_first"] = True
    if sinusoid and not own:
        more["projected"] = False
    return s.b.node(
        "relative_scores", q, k, *places, at=at, params=params, vectors=fields, terms=terms,
        width=s.d_model if own or not sinusoid else s.width(q), **more,
    )  # fmt: skip


def finish(s: Scope, term: Any, q: str, home: str, at: str) -> str:
    """u joins the query of the content scores, after every term has read the query itself."""
    if "u_k" not in term.terms:
        return q
    path = f"{s.owner(home, term.weights)}.u.weight"
    return s.b.node("head_gain", q, at=f"{at}.u", params={"bias": path}, kind="norm", gain="none", bias=True)
