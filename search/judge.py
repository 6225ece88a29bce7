"""From a proposed place to the trial that is stored: repaired or rejected, recognised as a duplicate, or evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from archspec.errors import InputError
from search.assess import Assessor, Fitted, Proposal
from search.budget import shown_bytes
from search.evaluator import Evaluation, Setting
from search.quality import FIDELITY, predict
from search.repair import moves
from search.seeds import trial_seed
from search.space import Place, values_at
from search.workers import Workers
from store.fronts import MEMORY, QUALITY, SPEED
from store.records import DUPLICATE, FEASIBLE, REJECTED, Metric, Rejection, Trial, Variant

Objectives = tuple[float, float, float]  # quality up, memory (bytes) down, decode speed (tokens/s) up
TIGHTENINGS = 4  # how often a repair may aim lower because the whole evaluation needed more than the examination


@dataclass(frozen=True)
class Judged:
    """A trial to store, the place it was evaluated at, and its objectives if it is new and feasible."""

    trial: Trial
    place: Place
    objectives: Objectives | None


class Judge:
    """Judges one proposal after another; remembers variants, so that none is evaluated twice."""

    def __init__(self, assessor: Assessor) -> None:
        self.assessor = assessor
        self.seen: dict[str, Variant] = {}
        self._fits: dict[int, Fitted | Rejection] = {}  # by number of the proposal, done ahead
        self._evaluated: dict[str, Evaluation | Rejection] = {}  # by variant, those that did not become a trial

    def refuse_hopeless(self) -> None:
        """Errors: InputError if not even the smallest spec fits, with what it needs and which term binds."""
        nearest, budget = self.assessor.smallest(), self.assessor.budget_bytes
        if nearest is None:
            return  # the smallest breaks a rule, so nothing is known yet
        evaluation = self._evaluate(nearest)
        if isinstance(evaluation, Rejection) or evaluation.memory.total <= budget:
            return
        memory = evaluation.memory
        terms = sorted(memory.terms.items(), key=lambda term: -term[1])
        raise InputError(
            f"nothing in '{self.assessor.space.name}' fits {shown_bytes(budget)}: the nearest miss needs "
            f"{shown_bytes(memory.total)}, of which {memory.binding} takes the most ("
            + ", ".join(f"{name} {shown_bytes(value)}" for name, value in terms if value)
            + ")",
            source="--budget-gb",
        )

    def work_ahead(self, proposals: Sequence[Proposal], workers: Workers) -> None:
        """Let workers do what judging these will ask for; changes how long it takes, never the outcome."""
        fits = workers.fit(proposals)
        self._fits = {proposal.number: fit for proposal, fit in zip(proposals, fits, strict=True)}
        wanted = {
            fit.variant: fit.place
            for fit in fits
            if isinstance(fit, Fitted) and fit.variant not in self.seen and fit.variant not in self._evaluated
        }
        self._evaluated |= dict(zip(wanted, workers.evaluate(list(wanted.values())), strict=True))

    def judge(self, proposal: Proposal) -> Judged:
        most = self.assessor.budget_bytes
        fit = self._fits.pop(proposal.number, None) or self.assessor.fit(proposal)
        for _ in range(TIGHTENINGS):
            if isinstance(fit, Rejection):
                return self._rejected(proposal, fit)
            if fit.variant in self.seen:
                return Judged(self._trial(proposal, fit.place, DUPLICATE, self.seen[fit.variant]), fit.place, None)
            evaluation = self._evaluate(fit)
            if isinstance(evaluation, Rejection):
                return self._rejected(proposal, evaluation)
            over = evaluation.memory.total - self.assessor.budget_bytes
            if over <= 0:
                return self._feasible(proposal, fit.place, evaluation)
            last = evaluation.memory
            most = min(most, fit.examined_bytes) - over  # aim lower by what the whole needs on top
            fit = self.assessor.fit_within(proposal, most, most)
        why = "and no repair brings the whole evaluation under it"
        return self._rejected(proposal, self.assessor.over_budget(last, why))

    def _evaluate(self, fit: Fitted) -> Evaluation | Rejection:
        if fit.variant not in self._evaluated:
            self._evaluated[fit.variant] = self.assessor.evaluate(fit.place)
        return self._evaluated[fit.variant]

    def _rejected(self, proposal: Proposal, rejection: Rejection) -> Judged:
        trial = self._trial(proposal, proposal.place, REJECTED, None, rejection=rejection)
        return Judged(trial, proposal.place, None)

    def _feasible(self, proposal: Proposal, place: Place, evaluation: Evaluation) -> Judged:
        variant = self.seen[evaluation.variant] = variant_of(evaluation)
        del self._evaluated[evaluation.variant]
        metrics = metrics_of(evaluation, self.assessor.evaluator.setting)
        worth = {metric.name: metric.value for metric in metrics}
        trial = self._trial(proposal, place, FEASIBLE, variant, metrics=metrics)
        return Judged(trial, place, (worth[QUALITY], worth[MEMORY], worth[SPEED]))

    def _trial(
        self,
        proposal: Proposal,
        place: Place,
        state: str,
        variant: Variant | None,
        *,
        metrics: tuple[Metric, ...] = (),
        rejection: Rejection | None = None,
    ) -> Trial:
        space = self.assessor.space
        return Trial(
            number=proposal.number,
            state=state,
            phase=proposal.phase,
            seed=trial_seed(self.assessor.seed, proposal.number),
            proposed=values_at(space, proposal.place),
            repairs=moves(space, proposal.place, place),
            variant=variant,
            metrics=metrics,
            rejection=rejection,
        )


def variant_of(evaluation: Evaluation) -> Variant:
    return Variant(
        hash=evaluation.hash,
        variant=evaluation.variant,
        spec=evaluation.spec,
        parameters_total=evaluation.parameters_total,
        parameters_active=evaluation.parameters_active,
        parameters_active_non_embedding=evaluation.parameters_active_non_embedding,
    )


def metrics_of(evaluation: Evaluation, setting: Setting) -> tuple[Metric, ...]:
    """The objectives, their parts and the corrections behind the quality."""
    about = partial(Metric, hash=evaluation.hash, variant=evaluation.variant, precision=evaluation.precision)
    memory = partial(about, unit="byte", fidelity="planned", context=setting.context, batch=setting.batch)
    speed = partial(
        about,
        unit="token/s",
        fidelity="roofline",
        context=setting.context,
        batch=setting.batch,
        device=setting.device,
    )
    quality = predict(evaluation.traits)
    bits = about(
        name="bits_per_byte",
        value=quality.bits_per_byte,
        sigma=quality.bits_per_byte_sigma,
        unit="bit/byte",
        fidelity=FIDELITY,
    )
    why = {"law": quality.law, "corrections": quality.corrections, "sigmas": quality.sigmas}
    return (
        about(name=QUALITY, value=quality.value, sigma=quality.sigma, unit="1", fidelity=FIDELITY, detail=why),
        bits,
        memory(name=MEMORY, value=evaluation.memory.total),
        *(memory(name=f"memory_{term}", value=value) for term, value in evaluation.memory.terms.items()),
        speed(name=SPEED, value=evaluation.decode_tokens_per_second, detail={"bound": evaluation.decode_bound}),
        speed(name="prefill_speed", value=evaluation.prefill_tokens_per_second),
    )
