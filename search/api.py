"""The search as one call, with everything worked out that a user may leave out."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archspec.errors import InputError
from archspec.spec.load import parse_json
from compiler.cost.devices import DEFAULT_DEVICE
from compiler.cost.formats import FORMATS
from search.budget import parse_bytes
from search.costed import CostEvaluator
from search.declared import open_space
from search.evaluator import Setting
from search.loop import Plan, Progress, SearchResult, prepare, search
from store import DEFAULT_URL, Store, open_store
from store.records import Study

DEFAULT_CONTEXT = 16384
DEFAULT_TRIALS = 2000
DEFAULT_SAMPLER = "front"


@dataclass(frozen=True)
class Asked:
    """What the user said; None where nothing was said."""

    space: str | Path | dict[str, Any] | None = None
    budget: str | float | None = None
    context: int | None = None
    batch: int | None = None
    dtype: str | None = None
    device: str | None = None
    seed: int | None = None
    sampler: str | None = None


def run(
    space: str | Path | dict[str, Any] | None = None,
    *,
    budget: str | float | None = None,
    context: int | None = None,
    batch: int | None = None,
    dtype: str | None = None,
    device: str | None = None,
    trials: int | None = None,
    seed: int | None = None,
    sampler: str | None = None,
    study: str | None = None,
    store: str | Store = DEFAULT_URL,
    resume: bool = False,
    workers: int = 1,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> SearchResult:
    """Search architectures under a memory budget: quality up, memory down, speed up.

    space: a spec with holes (file or dict); None is the embedded default.
    budget: `24` (1e9 bytes), `24GB`, `24GiB`; it covers everything the job holds.
    context (16384), batch (1), device, dtype: the setting of every number.
    trials (2000): proposals in all, those of earlier runs included.
    seed (0): the same seed gives the same search.
    study: its name in the store (the next free `search-N`).
    resume: go on with a stored study (the newest, if none is named); what is not given is taken from it.
    workers: processes that evaluate; the outcome does not depend on them.

    Errors: InputError for anything wrong in the above; a budget that nothing fits says what misses it by how much.
    """
    for value, source in ((trials, "--trials"), (workers, "--workers")):
        if value is not None:
            _positive(value, source)
    if study is not None and not study.strip():
        raise InputError(f"found {study!r}; a name is needed", source="--study")
    asked = Asked(space, budget, context, batch, dtype, device, seed, sampler)
    how: dict[str, Any] = {"workers": workers, "on_progress": on_progress, "should_stop": should_stop}
    if resume:
        with _opened(store, create=False) as opened:
            begun = _stored(opened, study)
            plan, evaluator = _plan(asked, begun)
            total = _first(trials, begun.settings.get("trials"), DEFAULT_TRIALS)
            judge = prepare(plan, evaluator)
            return search(plan, judge, opened, study=begun.name, trials=total, resume=True, **how)
    plan, evaluator = _plan(asked, None)
    judge = prepare(plan, evaluator)  # whatever is wrong is found before a store is made
    with _opened(store, create=True) as opened:
        name = study or _free_name(opened)
        return search(plan, judge, opened, study=name, trials=_first(trials, DEFAULT_TRIALS), **how)


def _opened(store: str | Store, *, create: bool) -> AbstractContextManager[Store]:
    """The caller's own store stays open."""
    return nullcontext(store) if isinstance(store, Store) else open_store(store, create=create)


def _plan(asked: Asked, begun: Study | None) -> tuple[Plan, CostEvaluator]:
    """What to search and with which answers: as asked, else as in the study begun, else the defaults."""

    if asked.budget is None and begun is None:
        raise InputError("how much memory may it take? for example --budget-gb 24", source="--budget-gb")
    stored: dict[str, Any] = {**vars(begun), **begun.settings} if begun else {}
    budget = stored["budget_bytes"] if asked.budget is None else parse_bytes(asked.budget)
    setting = Setting(
        context=_positive(_first(asked.context, stored.get("context"), DEFAULT_CONTEXT), "--context"),
        batch=_positive(_first(asked.batch, stored.get("batch"), 1), "--batch"),
        device=_first(asked.device, stored.get("device"), DEFAULT_DEVICE),
    )
    evaluator = CostEvaluator(setting)
    dtype = _first(asked.dtype, stored.get("dtype"), "")
    if dtype and dtype not in FORMATS:
        raise InputError(f"unknown dtype '{dtype}'; allowed: {', '.join(FORMATS)}", source="--dtype")
    seed = _first(asked.seed, stored.get("seed"), 0)
    if not 0 <= seed < 2**63:
        raise InputError(f"found {seed}; a whole number from 0 is needed", source="--seed")
    space = asked.space
    if space is None and begun is not None:  # a study keeps its space, so that it can be resumed without the file
        space = parse_json(begun.settings["space"])
    plan = Plan(
        space=open_space(space, context=setting.context, dtype=dtype or None),
        budget_bytes=budget,
        seed=seed,
        sampler=_first(asked.sampler, stored.get("sampler"), DEFAULT_SAMPLER),
        dtype=dtype,
    )
    return plan, evaluator


def _first(*values: Any) -> Any:
    """The first that is not None."""
    return next(value for value in values if value is not None)


def _positive(value: int, source: str) -> int:
    if value < 1:
        raise InputError(f"found {value}; a whole number of at least 1 is needed", source=source)
    return value


def _stored(store: Store, name: str | None) -> Study:
    names = store.study_names()
    found = store.study(name or names[-1]) if names else None
    if found is None:
        there = f"; there are: {', '.join(names)}" if names else ""
        raise InputError(
            f"no study {repr(name) + ' ' if name else ''}to resume in {store.url}{there}", source="--resume"
        )
    return found


def _free_name(store: Store) -> str:
    taken = set(store.study_names())
    return next(name for name in (f"search-{n}" for n in range(1, len(taken) + 2)) if name not in taken)
