"""A search kept in PostgreSQL is the one kept in SQLite."""

from search.loop import Plan, SearchResult, prepare, search
from store import open_store
from tests.search.toy import ToyEvaluator, ToySpace


def searched(url: str, trials: int, *, resume: bool = False) -> SearchResult:
    plan = Plan(ToySpace(), 10**9)
    with open_store(url) as store:
        return search(plan, prepare(plan, ToyEvaluator()), store, study="toy", trials=trials, resume=resume)


def test_same_search_resumed_too(postgresql_url: str) -> None:
    searched(postgresql_url, 70)
    assert searched(postgresql_url, 120, resume=True) == searched("sqlite://", 120)
