"""Random mask expressions that depend on no data."""

from typing import Any

from hypothesis import strategies as st

SMALL = st.integers(1, 5)


def mask(kind: str, **fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind), **fields})


ROWS = (
    mask("first", count=st.integers(1, 6))
    | mask("last", count=st.integers(1, 6), block=st.sampled_from([1, 1, 2, 3]))
    | mask("at", positions=st.lists(st.integers(0, 12), max_size=3, unique=True))
)
ATOMS = st.one_of(
    st.sampled_from([{"type": "causal"}, {"type": "full"}, {"type": "self"}]),
    mask("window", behind=st.none() | SMALL, ahead=st.none() | st.integers(0, 4), block=SMALL, dilation=st.just(1)),
    mask("window", behind=SMALL, ahead=st.integers(0, 4), block=st.sampled_from([1, 1, 2]), dilation=SMALL),
    mask("segment", length=SMALL, memory=st.integers(0, 5)),
    mask("keys", of=ROWS),
    mask("queries", of=ROWS),
    mask("strided", stride=SMALL),
    st.integers(1, 4).flatmap(lambda b: mask("fixed", block=st.just(b), summary=st.integers(1, b))),
)


def _nested(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    some = st.lists(inner, min_size=1, max_size=3)
    return (
        mask("and", of=some)
        | mask("or", of=some)
        | mask("not", of=inner)
        | mask("by_length", up_to=st.integers(1, 30), then=inner, otherwise=inner)
    )


EXPRESSIONS = st.recursive(ATOMS, _nested, max_leaves=5)
BY_HEAD = mask("by_head", of=st.lists(EXPRESSIONS, min_size=2, max_size=2))
MASKS = EXPRESSIONS | BY_HEAD | mask("and", of=st.tuples(BY_HEAD, EXPRESSIONS).map(list))
