"""The search against an evaluator whose answers are known."""

import itertools
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archspec.errors import InputError
from search.judge import metrics_of
from search.loop import Plan, SearchResult, prepare, search
from search.samplers import SAMPLERS
from search.space import values_at
from store import Store, open_store, pareto_mask
from tests.search.toy import SETTING, ToyEvaluator, ToySpace, digest

BUDGET = 2 * 10**9
TABLES = {
    "trials": "SELECT number, state, phase, seed, proposed, repairs, variant FROM trials ORDER BY number",
    "metrics": "SELECT hash, variant, name, value, unit, sigma, fidelity, detail FROM metrics ORDER BY id",
    "rejections": "SELECT t.number, r.kind, r.reason, r.binding, r.memory_bytes FROM rejections r "
    "JOIN trials t ON t.id = r.trial_id ORDER BY t.number",
    "variants": "SELECT v.variant, v.hash, v.spec, a.parameters_total FROM variants v "
    "JOIN architectures a ON a.hash = v.hash ORDER BY 1",
}


@pytest.fixture
def store() -> Iterator[Store]:
    with open_store("sqlite://") as opened:
        yield opened


def run(
    store: Store,
    trials: int,
    *,
    evaluator: ToyEvaluator | None = None,
    resume: bool = False,
    workers: int = 1,
    **plan: Any,
) -> SearchResult:
    chosen = Plan(**{"space": ToySpace(), "budget_bytes": BUDGET, **plan})
    judge = prepare(chosen, evaluator or ToyEvaluator())
    return search(chosen, judge, store, study="toy", trials=trials, resume=resume, workers=workers)


def tables(store: Store) -> dict[str, list[tuple]]:
    return {name: store.query(sql)[1] for name, sql in TABLES.items()}


def everything_that_fits(budget: int) -> np.ndarray:
    """(n, 3) objectives of every valid spec under the budget, all to be maximised."""
    space, evaluator = ToySpace(), ToyEvaluator()
    points = []
    for place in itertools.product(*(range(len(hole.options)) for hole in space.holes)):
        values = values_at(space, place)
        if 8 % values["kv"]:
            continue
        evaluation = evaluator.evaluate(evaluator.examine(space.fill(values)))
        if evaluation.memory.total <= budget:
            worth = {metric.name: metric.value for metric in metrics_of(evaluation, SETTING)}
            points.append([worth["quality"], -worth["memory"], worth["decode_speed"]])
    return np.array(points)


def test_it_finds_the_true_front(store: Store) -> None:
    truth = everything_that_fits(BUDGET)
    best = {tuple(point) for point in truth[pareto_mask(truth)].tolist()}
    found = {(c.quality, -c.memory_bytes, c.tokens_per_second) for c in run(store, 700).front}
    assert len(best) > 10
    assert found == best


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_seed_gives_the_same_tables(sampler: str) -> None:
    found = []
    for seed in (3, 3, 4):
        with open_store("sqlite://") as store:
            run(store, 180, seed=seed, sampler=sampler)
            found.append(tables(store))
    assert found[0] == found[1]
    assert found[0]["trials"] != found[2]["trials"]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    "first", [1, 64, 100, 117]
)  # within the uniform phase, at its end, at a batch's end, within a batch
def test_resumed_is_the_same_as_uninterrupted(sampler: str, first: int) -> None:
    with open_store("sqlite://") as whole, open_store("sqlite://") as parts:
        expected = run(whole, 200, sampler=sampler)
        assert run(parts, first, sampler=sampler).trials == first
        resumed = run(parts, 200, sampler=sampler, resume=True)
        assert tables(parts) == tables(whole)
        assert resumed == expected


def test_workers_change_nothing() -> None:
    with open_store("sqlite://") as alone, open_store("sqlite://") as helped:
        expected = run(alone, 130, budget_bytes=300_000_000)
        run(helped, 70, budget_bytes=300_000_000, workers=2)
        assert run(helped, 130, budget_bytes=300_000_000, workers=2, resume=True) == expected
        assert tables(helped) == tables(alone)


def test_resuming_what_is_complete_changes_nothing(store: Store) -> None:
    first = run(store, 60)
    assert run(store, 60, resume=True) == first
    assert run(store, 20, resume=True).trials == 60


def test_counts_add_up_and_no_variant_is_evaluated_twice(store: Store) -> None:
    evaluator = ToyEvaluator()
    result = run(store, 600, evaluator=evaluator)
    assert result.trials == result.evaluated + result.rejected + result.duplicates == 600
    assert result.duplicates > 0 and result.rejected > 0
    stored = [row[0] for row in store.query("SELECT variant FROM trials WHERE state = 'feasible'")[1]]
    assert len(stored) == len(set(stored)) == result.evaluated
    assert set(evaluator.evaluated.values()) == {1} and set(stored) <= set(evaluator.evaluated)


def test_a_duplicate_after_resume_is_known(store: Store) -> None:
    run(store, 300)
    evaluator = ToyEvaluator()
    known = {row[0] for row in store.query("SELECT variant FROM variants")[1]}
    run(store, 500, resume=True, evaluator=evaluator)
    new = set(evaluator.evaluated) & known
    assert len(new) <= 1  # the smallest spec, evaluated to see that the budget can be met at all


@pytest.mark.parametrize("budget", [150_000_000, 300_000_000, 2 * 10**9, 10**10])
def test_nothing_over_the_budget_is_feasible(store: Store, budget: int) -> None:
    result = run(store, 250, budget_bytes=budget)
    assert result.evaluated
    assert all(c.memory_bytes <= budget for c in result.candidates)
    over = store.query(f"SELECT count(*) FROM metrics WHERE name = 'memory' AND value > {budget}")[1]
    assert over == [(0,)]


def test_an_over_budget_proposal_is_repaired_by_named_moves(store: Store) -> None:
    run(store, 200, budget_bytes=300_000_000)
    repaired = [t for t in store.trials(1) if t.repairs and t.state == "feasible"]
    assert repaired
    evaluator = ToyEvaluator()
    for trial in repaired:
        after = {**trial.proposed, **{move.hole: move.after for move in trial.repairs}}
        assert all(trial.proposed[move.hole] == move.before for move in trial.repairs)
        assert digest(after) == trial.variant.variant
        assert evaluator.examine(trial.proposed).memory.total > evaluator.examine(after).memory.total


def test_a_broken_rule_is_rejected_with_its_reason(store: Store) -> None:
    run(store, 100)
    reasons = store.query("SELECT DISTINCT kind, reason FROM rejections")[1]
    assert ("rule", "n_heads (8) must be a multiple of n_kv_heads, found 6") in reasons


def test_a_budget_nothing_fits_names_the_nearest_miss_and_the_term(store: Store) -> None:
    with pytest.raises(InputError, match=r"nothing in 'toy' fits 0\.10 GB.*needs 0\.13 GB.*reserve takes the most"):
        run(store, 10, budget_bytes=10**8)
    assert store.study_names() == []


def test_uniform_architectures_come_first_and_spread_over_the_budget(store: Store) -> None:
    run(store, 100)
    first = [t for t in store.trials(1) if t.phase == "uniform"]
    assert 50 <= len(first) <= 64 and [t.number for t in first] == list(range(len(first)))  # some were equal
    assert all(t.proposed["lower/depth"] == t.proposed["upper/depth"] for t in first)
    memory = sorted(m.value for t in first for m in t.metrics if m.name == "memory")
    assert memory[0] < BUDGET / 5 and memory[-1] > BUDGET * 0.7


def test_another_plan_cannot_resume(store: Store) -> None:
    run(store, 20)
    with pytest.raises(InputError, match="begun with another seed \\(0, not 1\\)"):
        run(store, 40, seed=1, resume=True)
    with pytest.raises(InputError, match="another sampler"):
        run(store, 40, sampler="random", resume=True)
    with pytest.raises(InputError, match="already has a study 'toy'"):
        run(store, 40)
    with pytest.raises(InputError, match="no study 'none'"):
        plan = Plan(ToySpace(), BUDGET)
        search(plan, prepare(plan, ToyEvaluator()), store, study="none", trials=1, resume=True)


def test_history_that_would_be_proposed_otherwise_is_refused(store: Store) -> None:
    run(store, 60)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE trials SET proposed = '{}' WHERE number = 7")
    with pytest.raises(InputError, match="trial 7 was proposed by another version"):
        run(store, 80, resume=True)


class Interrupted(ToyEvaluator):
    """Ctrl-C after some evaluations."""

    left = 90

    def examine(self, spec: dict) -> object:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return super().examine(spec)


def test_ctrl_c_keeps_what_was_judged(store: Store) -> None:
    result = run(store, 300, evaluator=Interrupted())
    assert not result.finished and 0 < result.trials < 300
    assert len(store.trials(1)) == result.trials
    with open_store("sqlite://") as whole:
        expected = run(whole, 300)
        assert run(store, 300, resume=True) == expected
        assert tables(store) == tables(whole)


def test_killed_and_resumed_ends_with_the_same_front(tmp_path: Path) -> None:
    """SIGKILL in the middle of a batch, in a process of its own."""
    url = f"sqlite:///{tmp_path / 'killed.db'}"
    code = f"""
        import os, signal
        from search.loop import Plan, prepare, search
        from store import open_store
        from tests.search.toy import ToyEvaluator, ToySpace

        class Killed(ToyEvaluator):
            calls = 0
            def evaluate(self, examined):
                self.calls += 1
                if self.calls == 130:
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().evaluate(examined)

        plan = Plan(ToySpace(), {BUDGET})
        with open_store({url!r}) as store:
            search(plan, prepare(plan, Killed()), store, study="toy", trials=400)
    """
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=root)
    assert done.returncode == -9
    with open_store(url) as killed, open_store("sqlite://") as whole:
        kept = len(killed.trials(1))
        assert 0 < kept < 400
        assert kept % 50 == 0  # whole batches
        expected = run(whole, 400)
        assert run(killed, 400, resume=True) == expected
        assert tables(killed) == tables(whole)
