"""The search itself: propose a batch, judge it, store it, learn from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from archspec.errors import InputError
from search.assess import Assessor, Proposal
from search.environment import environment
from search.evaluator import Evaluator, Setting
from search.judge import Judge, Judged
from search.proposer import Proposer
from search.samplers import SAMPLERS
from search.space import Place, SearchSpace, place_of, values_at
from search.workers import started
from store import Store
from store.fronts import MEMORY, QUALITY, SPEED
from store.records import DUPLICATE, FEASIBLE, REJECTED, Candidate, Study, Trial


@dataclass(frozen=True)
class Plan:
    """What is searched: two searches with equal plans give equal tables. The number of trials is no part of it."""

    space: SearchSpace
    budget_bytes: int
    seed: int = 0
    sampler: str = "front"
    dtype: str = ""


@dataclass
class Progress:
    """Where a search stands, after each batch."""

    total: int
    done: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {FEASIBLE: 0, REJECTED: 0, DUPLICATE: 0})
    objectives: list[tuple[float, float, float]] = field(default_factory=list)  # of the feasible ones

    def add(self, outcomes: Sequence[Judged]) -> None:
        for outcome in outcomes:
            self.done += 1
            self.counts[outcome.trial.state] += 1
            if outcome.objectives:
                self.objectives.append(outcome.objectives)


@dataclass(frozen=True)
class SearchResult:
    """`trials` = `evaluated` + `rejected` + `duplicates`."""

    study: str
    trials: int
    evaluated: int
    rejected: int
    duplicates: int
    front: list[Candidate]
    candidates: list[Candidate]
    finished: bool  # False: interrupted; --resume goes on


def prepare(plan: Plan, evaluator: Evaluator) -> Judge:
    """What a search judges with; writes nothing.

    Errors: InputError for a sampler that does not exist, a space without a valid spec, a budget that nothing fits.
    """
    if plan.sampler not in SAMPLERS:
        raise InputError(f"no sampler '{plan.sampler}'; there are: {', '.join(SAMPLERS)}", source="--sampler")
    judge = Judge(Assessor(plan.space, evaluator, plan.budget_bytes, plan.seed))
    judge.refuse_hopeless()
    return judge


def search(
    plan: Plan,
    judge: Judge,
    store: Store,
    *,
    study: str,
    trials: int,
    resume: bool = False,
    workers: int = 1,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> SearchResult:
    """Run `plan` under the name `study` until it has `trials` trials, each stored with its batch.

    judge: from `prepare`. workers: processes that evaluate; they change the time it takes, nothing else. resume: go
    on with a study that is in the store; its plan must be the same. should_stop is asked before each trial; it and
    Ctrl-C end the search early, with everything judged so far stored. Errors: InputError for a name that is taken and
    for a stored plan that differs.
    """
    here = environment()
    study_id, stored = _begin(plan, judge.assessor.evaluator.setting, store, study, resume, trials)
    trials = max(trials, len(stored))
    proposer = Proposer(plan.space, plan.sampler, plan.seed, plan.budget_bytes)
    progress = Progress(trials)
    finished = True
    with started(judge.assessor, workers) as pool:
        while finished and progress.done < trials:
            batch = [proposal for proposal in proposer.ask() if proposal.number < trials]
            outcomes, fresh = [], []
            try:
                if pool and batch[-1].number >= len(stored):
                    judge.work_ahead([proposal for proposal in batch if proposal.number >= len(stored)], pool)
                for proposal in batch:
                    if should_stop():
                        raise KeyboardInterrupt
                    if proposal.number < len(stored):
                        outcomes.append(_replay(plan.space, proposal, stored[proposal.number], judge))
                    else:
                        outcomes.append(judge.judge(proposal))
                        fresh.append(outcomes[-1].trial)
            except KeyboardInterrupt:
                finished = False
            store.add_trials(study_id, fresh, here)
            progress.add(outcomes)
            on_progress(progress)
            if finished and progress.done < trials:
                proposer.tell(outcomes)
    candidates = store.candidates(study)
    return SearchResult(
        study=study,
        trials=progress.done,
        evaluated=progress.counts[FEASIBLE],
        rejected=progress.counts[REJECTED],
        duplicates=progress.counts[DUPLICATE],
        front=store.front(study),
        candidates=candidates,
        finished=finished,
    )


def _begin(plan: Plan, setting: Setting, store: Store, name: str, resume: bool, trials: int) -> tuple[int, list[Trial]]:
    """The study's id and its stored trials."""
    settings = {"space": plan.space.text, "sampler": plan.sampler, "dtype": plan.dtype}
    wanted = Study(
        name=name,
        seed=plan.seed,
        context=setting.context,
        batch=setting.batch,
        device=setting.device,
        budget_bytes=plan.budget_bytes,
        settings={**settings, "space_name": plan.space.name, "trials": trials},
    )
    if not resume:
        return store.add_study(wanted, environment()), []
    found = store.study(name)
    if found is None or found.id is None:
        raise InputError(f"no study '{name}' to resume in {store.url}", source="--resume")
    differing = [key for key in settings if settings[key] != found.settings.get(key)]
    differing += [
        f"{key} ({getattr(found, key)}, not {getattr(wanted, key)})"
        for key in ("seed", "context", "batch", "device", "budget_bytes")
        if getattr(found, key) != getattr(wanted, key)
    ]
    if differing:
        raise InputError(f"the study '{name}' was begun with another {', '.join(differing)}", source="--resume")
    return found.id, store.trials(found.id)


def _replay(space: SearchSpace, proposal: Proposal, trial: Trial, judge: Judge) -> Judged:
    """A stored trial as if it had just been judged.

    Errors: InputError if the search would propose something else today, since then it would not be the same search.
    """
    if trial.proposed != values_at(space, proposal.place):
        raise InputError(
            f"trial {trial.number} was proposed by another version of the search; begin a new study", source="--resume"
        )
    after: dict[str, Any] = {**trial.proposed, **{move.hole: move.after for move in trial.repairs}}
    place: Place = place_of(space, after)
    if trial.variant is not None:
        judge.seen[trial.variant.variant] = trial.variant
    if trial.state != FEASIBLE:
        return Judged(trial, place, None)
    worth = {metric.name: metric.value for metric in trial.metrics}
    return Judged(trial, place, (worth[QUALITY], worth[MEMORY], worth[SPEED]))
