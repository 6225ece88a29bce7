"""From a proposed place to the trial that is stored: fill, check, repair or reject, recognise duplicates, evaluate."""

from dataclasses import dataclass, field
from functools import partial

from archspec.errors import InputError
from search.budget import shown_bytes
from search.evaluator import Evaluation, Evaluator, Examined, Memory
from search.quality import FIDELITY, predict
from search.repair import Examiner, Ladder, first_fitting, ladders, moves, smallest, walk
from search.seeds import generator, trial_seed
from search.space import Place, SearchSpace, values_at
from store.fronts import MEMORY, QUALITY, SPEED
from store.records import DUPLICATE, FEASIBLE, REJECTED, Metric, Rejection, Trial, Variant

Objectives = tuple[float, float, float]  # quality up, memory (bytes) down, decode speed (tokens/s) up
TIGHTENINGS = 4  # how often a repair may aim lower because the whole evaluation needed more than the examination


@dataclass(frozen=True)
class Proposal:
    """`target_bytes`: what a repair aims at; more is accepted up to the budget if nothing is smaller."""

    number: int
    phase: str
    place: Place
    target_bytes: int


@dataclass(frozen=True)
class Judged:
    """A trial to store, the place it was evaluated at, and its objectives if it is new and feasible."""

    trial: Trial
    place: Place
    objectives: Objectives | None


class Unfit(Exception):
    """A rejection on its way up."""

    def __init__(self, rejection: Rejection) -> None:
        self.rejection = rejection


@dataclass
class Judge:
    """Judges one proposal after another; remembers variants, so that none is evaluated twice."""

    space: SearchSpace
    evaluator: Evaluator
    budget_bytes: int
    seed: int
    seen: dict[str, Variant] = field(default_factory=dict)
    evaluated: dict[str, Evaluation] = field(default_factory=dict)  # those that did not become a trial

    def __post_init__(self) -> None:
        self.examiner = Examiner(self.space, self.evaluator)
        self.rungs: list[Ladder] = ladders(self.examiner)

    def refuse_hopeless(self) -> None:
        """Errors: InputError if not even the smallest spec fits, with what it needs and which term binds."""
        place = smallest(self.examiner, self.rungs)
        nearest = self.examiner.examine(place)
        if isinstance(nearest, str):
            return  # the smallest breaks a rule, so nothing is known yet
        try:
            memory = self._evaluate(nearest, self.evaluator.variant(nearest)).memory
        except Unfit:
            return
        if memory.total > self.budget_bytes:
            terms = sorted(memory.terms.items(), key=lambda term: -term[1])
            raise InputError(
                f"nothing in '{self.space.name}' fits {shown_bytes(self.budget_bytes)}: the nearest miss needs "
                f"{shown_bytes(memory.total)}, of which {memory.binding} takes the most ("
                + ", ".join(f"{name} {shown_bytes(value)}" for name, value in terms if value)
                + ")",
                source="--budget-gb",
            )

    def judge(self, proposal: Proposal) -> Judged:
        target, most = min(proposal.target_bytes, self.budget_bytes), self.budget_bytes
        try:
            for _ in range(TIGHTENINGS):
                place, examined = self._fit(proposal, target, most)
                variant = self.evaluator.variant(examined)
                if variant in self.seen:
                    return Judged(self._trial(proposal, place, DUPLICATE, self.seen[variant]), place, None)
                evaluation = self._evaluate(examined, variant)
                over = evaluation.memory.total - self.budget_bytes
                if over <= 0:
                    return self._feasible(proposal, place, evaluation)
                target = most = min(most, examined.memory.total) - over  # aim lower by what the whole needs on top
            raise Unfit(self._over_budget(evaluation.memory, "and no repair brings the whole evaluation under it"))
        except Unfit as unfit:
            trial = self._trial(proposal, proposal.place, REJECTED, None, rejection=unfit.rejection)
            return Judged(trial, proposal.place, None)

    def _fit(self, proposal: Proposal, target: int, most: int) -> tuple[Place, Examined]:
        """The proposal or its repair that is examined to need at most `target` bytes, else at most `most`."""
        first = self.examiner.examine(proposal.place)
        if isinstance(first, str):
            raise Unfit(Rejection("rule", first))
        rng = generator(self.seed, proposal.number, "repair")
        path = list(walk(proposal.place, self.rungs, first.memory.binding, rng))
        for limit in dict.fromkeys((target, most)):
            place = first_fitting(path, lambda p, limit=limit: self._fits(p, limit))  # type: ignore[misc]
            if place is not None:
                answer = self.examiner.examine(place)
                assert isinstance(answer, Examined)
                return place, answer
        raise Unfit(self._over_budget(first.memory, "and no smaller neighbour fits"))

    def _fits(self, place: Place, limit: int) -> bool:
        answer = self.examiner.examine(place)
        return isinstance(answer, Examined) and answer.memory.total <= limit

    def _evaluate(self, examined: Examined, variant: str) -> Evaluation:
        if variant not in self.evaluated:
            try:
                self.evaluated[variant] = self.evaluator.evaluate(examined)
            except InputError as error:
                raise Unfit(Rejection("unsupported", str(error))) from error
        return self.evaluated[variant]

    def _feasible(self, proposal: Proposal, place: Place, evaluation: Evaluation) -> Judged:
        variant = self.seen[evaluation.variant] = variant_of(evaluation)
        del self.evaluated[evaluation.variant]
        metrics = metrics_of(evaluation, self.evaluator)
        worth = {metric.name: metric.value for metric in metrics}
        trial = self._trial(proposal, place, FEASIBLE, variant, metrics=metrics)
        return Judged(trial, place, (worth[QUALITY], worth[MEMORY], worth[SPEED]))

    def _over_budget(self, memory: Memory, why: str) -> Rejection:
        reason = (
            f"needs at least {shown_bytes(memory.total)}, the budget is {shown_bytes(self.budget_bytes)}; "
            f"{memory.binding} takes the most ({shown_bytes(memory.terms[memory.binding])}), {why}"
        )
        return Rejection("budget", reason, memory.binding, memory.total)

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
        return Trial(
            number=proposal.number,
            state=state,
            phase=proposal.phase,
            seed=trial_seed(self.seed, proposal.number),
            proposed=values_at(self.space, proposal.place),
            repairs=moves(self.space, proposal.place, place),
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


def metrics_of(evaluation: Evaluation, evaluator: Evaluator) -> tuple[Metric, ...]:
    """The objectives, their parts and the corrections behind the quality."""
    setting = evaluator.setting
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
