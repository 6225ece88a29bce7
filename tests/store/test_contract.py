"""What every store does, whatever database is behind it."""

import pytest

from archspec.errors import InputError
from store import Store
from store.records import Environment, Trial
from tests.store.made import HERE, feasible, rejected, study


def test_trials_come_back_as_they_went_in(store: Store) -> None:
    id_ = store.add_study(study(), HERE)
    trials = [feasible(0, 1.0, 10**10, 50.0), rejected(1), feasible(2, 1.2, 3 * 10**10, 5.5)]
    store.add_trials(id_, trials[:1], HERE)
    store.add_trials(id_, trials[1:], HERE)
    assert store.trials(id_) == trials


def test_a_study_comes_back_by_name(store: Store) -> None:
    id_ = store.add_study(study(seed=2**62), HERE)
    assert store.study("first") == study(seed=2**62, id=id_)
    assert store.study("second") is None
    assert store.study_names() == ["first"]


def test_a_name_is_taken_once(store: Store) -> None:
    store.add_study(study(), HERE)
    with pytest.raises(InputError, match="already has a study 'first'"):
        store.add_study(study(), HERE)


def test_a_batch_is_kept_whole_or_not_at_all(store: Store) -> None:
    id_ = store.add_study(study(), HERE)
    store.add_trials(id_, [feasible(0, 1, 1, 1)], HERE)
    with pytest.raises(InputError, match="another process"):
        store.add_trials(id_, [feasible(1, 2, 2, 2), feasible(0, 3, 3, 3, key="new")], HERE)
    assert [trial.number for trial in store.trials(id_)] == [0]
    assert store.query("SELECT count(*) FROM variants")[1] == [(1,)]
    store.add_trials(id_, [feasible(1, 2, 2, 2)], HERE)  # and the store still works


def test_a_duplicate_brings_no_second_variant(store: Store) -> None:
    id_ = store.add_study(study(), HERE)
    first = feasible(0, 1, 1, 1)
    again = Trial(1, "duplicate", "evolved", 5, {"d_model": 65}, variant=first.variant)
    store.add_trials(id_, [first], HERE)
    store.add_trials(id_, [again], HERE)
    assert store.trials(id_) == [first, again]
    assert [c.trial for c in store.candidates()] == [0]
    assert store.query("SELECT count(*) FROM metrics")[1] == [(3,)]


def test_environments_are_kept_once_each(store: Store) -> None:
    id_ = store.add_study(study(), HERE)
    store.add_trials(id_, [feasible(0, 1, 1, 1)], HERE)
    store.add_trials(id_, [feasible(1, 1, 1, 1)], Environment("0.2.0", "3.12.0", "test", {}))
    sql = "SELECT t.number, e.archspec FROM trials t JOIN environments e ON e.id = t.environment_id ORDER BY 1"
    assert store.query(sql) == (["number", "archspec"], [(0, "0.1.0"), (1, "0.2.0")])


def test_the_front_keeps_ties_and_drops_the_dominated(store: Store) -> None:
    id_ = store.add_study(study(), HERE)
    points = [(1.0, 10, 5.0), (1.0, 10, 5.0), (0.9, 11, 5.0), (0.5, 2, 9.0), (2.0, 40, 1.0)]
    store.add_trials(id_, [feasible(i, *point) for i, point in enumerate(points)], HERE)
    assert [c.trial for c in store.front("first")] == [4, 0, 1, 3]


def test_filters(store: Store) -> None:
    id_ = store.add_study(study(), HERE)
    other = store.add_study(study("second", context=1024, device="a100"), HERE)
    store.add_trials(id_, [feasible(0, 1.0, 10, 5.0), feasible(1, 2.0, 20, 3.0), feasible(2, 3.0, 30, 1.0)], HERE)
    store.add_trials(other, [feasible(0, 0.1, 99, 0.5)], HERE)

    def found(*args: str, **filters: object) -> list[tuple[str, int]]:
        return [(c.study, c.trial) for c in store.candidates(*args, **filters)]

    assert found("first", max_memory_bytes=20) == [("first", 0), ("first", 1)]
    assert found("first", min_tokens_per_second=3.0) == [("first", 0), ("first", 1)]
    assert found(context=1024) == [("second", 0)]
    assert found(device="rtx-4090", max_memory_bytes=10) == [("first", 0)]
    with pytest.raises(InputError, match=r"no study 'third'.*first, second"):
        store.candidates("third")


def test_other_settings_are_not_compared_and_a_variant_counts_once(store: Store) -> None:
    a, b, c = (store.add_study(study(name, context=n), HERE) for name, n in [("a", 4096), ("b", 4096), ("c", 8192)])
    store.add_trials(a, [feasible(0, 1.0, 10, 5.0)], HERE)
    store.add_trials(b, [feasible(0, 1.0, 10, 5.0), feasible(1, 0.5, 20, 4.0)], HERE)  # the same variant; a worse one
    store.add_trials(c, [feasible(0, 0.5, 20, 4.0)], HERE)  # worse too, but at another context
    assert [(x.study, x.trial) for x in store.front()] == [("a", 0), ("c", 0)]


WRITES = [
    "INSERT INTO environments (fingerprint, archspec, python, platform, packages) VALUES ('x', 'x', 'x', 'x', '{}')",
    "UPDATE studies SET seed = 1",
    "DELETE FROM studies",
    "DROP TABLE metrics",
    "CREATE TABLE mine (a INTEGER)",
    "CREATE TEMP TABLE mine (a INTEGER)",
    "SELECT 1; DELETE FROM studies",
    "COMMIT; DELETE FROM studies",
    "WITH gone AS (DELETE FROM studies RETURNING 1) SELECT * FROM gone",
    "SELECT 1 INTO mine",
    "",
    "SELEC 1",
]


@pytest.mark.parametrize("sql", WRITES)
def test_a_query_cannot_write(store: Store, sql: str) -> None:
    store.add_study(study(), HERE)
    with pytest.raises(InputError):
        store.query(sql)
    assert store.study("first") is not None and store.study("first").seed == 7
    assert store.query("SELECT count(*) FROM metrics")[1] == [(0,)]
    store.add_study(study("later"), HERE)  # the store itself can write as before


def test_words_alone_do_not_make_a_query_a_write(store: Store) -> None:
    assert store.query("SELECT 'DELETE; INSERT PRAGMA' AS note") == (["note"], [("DELETE; INSERT PRAGMA",)])
