"""Which architecture to start from: the decision tree of the zoo, walked with facts, its leaves costed.

The tree (`archspec.zoo.tree`) holds questions and reasons; here every spec that it names is counted by `compiler.cost`,
so that memory and speed are computed at the asked context, batch and device.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from math import isfinite
from typing import Any

from archspec import zoo
from archspec.errors import InputError
from archspec.spec import load_spec, resolve
from archspec.spec.layout import dump
from archspec.zoo.tree import GIGABYTE, LARGE, LONG_FROM, SMALL, TREE, Branch, Fork, Leaf
from compiler.cost.devices import DEFAULT_DEVICE, Device
from compiler.cost.devices import device as find_device
from compiler.cost.formats import with_dtype
from compiler.cost.report import CostReport, cost

TERMS = ("weights", "cache", "activations", "logits", "workspace", "reserve")
FLAGS = ("long_context", "multilingual", "multitask")


@dataclass(frozen=True)
class Request:
    """What the user says. memory_gb (1e9 bytes): None means what `device` shows; context: None means the leaf's own."""

    task: str
    long_context: bool = False
    multilingual: bool = False
    multitask: bool = False
    memory_gb: float | None = None
    context: int | None = None
    batch: int = 1
    device: str = DEFAULT_DEVICE
    dtype: str | None = None


@dataclass(frozen=True)
class Step:
    """One question of the path, with its answer and the reason."""

    question: str
    answer: str
    reason: str


@dataclass(frozen=True)
class Option:
    """One spec, counted. Bytes; tokens a second of all sequences. tokens_per_second: of decoding, or of the forward for
    a model that does not generate (`generates`). binds: the largest term of its memory. longest: its max_length."""

    name: str
    answer: str
    kind: str
    memory: Mapping[str, int]
    total_bytes: int
    fits: bool
    tokens_per_second: float | None
    generates: bool
    parameters: int
    active_parameters: int
    longest: int | None
    reaches: bool

    @property
    def binds(self) -> str:
        return max(TERMS, key=lambda term: self.memory[term])


@dataclass(frozen=True)
class Advice:
    """The path through the tree, the options of its leaf (the strongest first), those of the other branches at its last
    question, and the first option that fits (None: none does)."""

    steps: tuple[Step, ...]
    leaf: Leaf
    options: tuple[Option, ...]
    alternatives: tuple[Option, ...]
    context: int
    batch: int
    device: str
    memory_bytes: int
    recommended: Option | None
    notes: tuple[str, ...]

    @property
    def nearest(self) -> Option:
        """The option of the leaf that needs least."""
        return min(self.options, key=lambda option: option.total_bytes)

    @property
    def refusal(self) -> str | None:
        """Why nothing is recommended: the nearest, what it lacks, the term that binds, and what would fit instead."""
        if self.recommended:
            return None
        near = self.nearest
        over = (near.total_bytes - self.memory_bytes) / GIGABYTE
        text = (
            f"no {self.leaf.kind} of the tree fits {self.memory_bytes / GIGABYTE:.4g} GB at {self.context:,} tokens, "
            f"batch {self.batch:,}; the nearest is {near.name} with {near.total_bytes / GIGABYTE:.2f} GB, "
            f"{over:.2f} GB too many: {near.binds} bind ({near.memory[near.binds] / GIGABYTE:.2f} GB)"
        )
        other = next((option for option in self.alternatives if option.fits), None)
        return text + (f"; of the other answers {other.name} ({other.answer}) fits" if other else "")

    def to_json(self) -> dict[str, Any]:
        """Plain values; `binds` beside each option's memory."""
        return {
            "steps": [asdict(step) for step in self.steps], "kind": self.leaf.kind, "context": self.context,
            "batch": self.batch, "device": self.device, "memory_bytes": self.memory_bytes,
            "recommended": self.recommended.name if self.recommended else None, "refusal": self.refusal,
            "notes": list(self.notes),
            "options": [_plain(option) for option in self.options],
            "alternatives": [_plain(option) for option in self.alternatives],
        }  # fmt: skip


def advise(request: Request) -> Advice:
    """Walk the tree and count what it names. InputError: a task, number or device that cannot be, a flag that the tree
    does not ask of the task."""
    where = _checked(request)
    facts = _facts(request, where)
    steps, branches, forks = _walk(facts, where)
    last = forks[-1]
    leaf = branches[-1].then
    assert isinstance(leaf, Leaf)
    long = leaf.long_context if request.long_context and leaf.long_context else leaf.context
    context = request.context or long
    options = tuple(_options(branches[-1], request, context, where))
    others = (branch for branch in last.branches if branch is not branches[-1]) if last is not TREE else ()
    alternatives = tuple(option for branch in others for option in _options(branch, request, context, where))
    fitting = [option for option in options if option.fits]
    recommended = next((option for option in fitting if option.reaches), fitting[0] if fitting else None)
    notes = []
    heeded = leaf.long_context or any(fork.fact == "long_context" for fork in forks)
    if request.long_context and not heeded:
        notes.append(f"no {leaf.kind} for long text is known to the tree; counted at {context:,} tokens")
    if recommended and not recommended.reaches:
        notes.append(f"it was built for at most {recommended.longest:,} tokens; quality beyond is unknown")
    return Advice(
        steps, leaf, options, alternatives, context, request.batch, where.name, where.memory_bytes, recommended,
        tuple(notes),
    )  # fmt: skip


def starting_spec(name: str, dtype: str | None = None) -> str:
    """The text of the zoo's spec `name`, its precision replaced where a type is given."""
    document = zoo.read(name)
    if dtype is not None:
        precision = with_dtype(load_spec(document).precision, dtype)
        document["precision"] = precision.model_dump(mode="json", exclude_defaults=True)
    return dump(document)


def _checked(request: Request) -> Device:
    """The device, with the asked memory in place of its own."""
    tasks = {branch.answer: branch for branch in TREE.branches}
    if request.task not in tasks:
        raise InputError(f"found {request.task!r}; allowed: {', '.join(tasks)}", source="--task")
    asked = set(_asked(tasks[request.task].then))
    for flag in FLAGS:
        if getattr(request, flag) and flag not in asked:
            able = [name for name, branch in tasks.items() if flag in set(_asked(branch.then))]
            raise InputError(
                f"has no say in the task {request.task!r}; it is asked of {', '.join(able)}",
                source=f"--{flag.replace('_', '-')}",
            )
    for name, value in (("context", request.context), ("batch", request.batch)):
        if value is not None and value < 1:
            raise InputError(f"found {value}, a whole number of at least 1 is needed", source=f"--{name}")
    where = find_device(request.device)
    if request.memory_gb is None:
        return where
    if not (isfinite(request.memory_gb) and request.memory_gb > 0):
        raise InputError(f"found {request.memory_gb:g}, a number above 0 is needed", source="--memory-gb")
    return replace(where, memory_bytes=round(request.memory_gb * GIGABYTE))


def _asked(node: Fork | Leaf) -> Iterator[str]:
    """The facts that decide below `node`."""
    if isinstance(node, Leaf):
        yield from ("long_context",) if node.long_context else ()
        return
    yield node.fact
    for branch in node.branches:
        yield from _asked(branch.then)


def _facts(request: Request, where: Device) -> dict[str, str]:
    """Fact -> answer, in the words of the tree."""
    gigabytes = where.memory_bytes / GIGABYTE
    long = request.long_context or (request.context or 0) > LONG_FROM.get(request.task, request.context or 0)
    memory = f"{SMALL:g} to {LARGE:g} GB"
    if gigabytes > LARGE:
        memory = f"more than {LARGE:g} GB"
    elif gigabytes < SMALL:
        memory = f"less than {SMALL:g} GB"
    yes = {True: "yes", False: "no"}
    return {
        "task": request.task, "long_context": yes[long], "memory": memory, "multilingual": yes[request.multilingual],
        "multitask": yes[request.multitask],
    }  # fmt: skip


def _walk(facts: Mapping[str, str], where: Device) -> tuple[tuple[Step, ...], list[Branch], list[Fork]]:
    """The steps, the branches taken, and the questions."""
    steps: list[Step] = []
    taken: list[Branch] = []
    forks: list[Fork] = []
    node = TREE
    while True:
        forks.append(node)
        branch = next(branch for branch in node.branches if branch.answer == facts[node.fact])
        taken.append(branch)
        seen = f", here {where.memory_bytes / GIGABYTE:.4g}" if node.fact == "memory" else ""
        steps.append(Step(node.question, branch.answer + seen, branch.reason))
        if isinstance(branch.then, Leaf):
            return tuple(steps), taken, forks
        node = branch.then


def _leaves(branch: Branch) -> Iterator[Leaf]:
    """The leaves that a branch may end in."""
    if isinstance(branch.then, Leaf):
        yield branch.then
    else:
        for inner in branch.then.branches:
            yield from _leaves(inner)


def _options(branch: Branch, request: Request, context: int, where: Device) -> Iterator[Option]:
    for leaf in _leaves(branch):
        for name in leaf.specs:
            resolved = resolve(load_spec(zoo.path(name)))
            report = cost(resolved, context=context, batch=request.batch, dtype=request.dtype, device=where)
            yield _option(name, branch.answer, leaf.kind, report)


def _option(name: str, answer: str, kind: str, report: CostReport) -> Option:
    speed, longest = report.speed, report.resolved.max_length if report.resolved else None
    generates = report.no_step is None
    return Option(
        name, answer, kind, {term: getattr(report.memory, term) for term in TERMS}, report.total_bytes, report.fits,
        speed.decode_tokens_per_second if generates else speed.prefill_tokens_per_second, generates,
        report.parameters.total, report.parameters.active, longest, longest is None or report.context <= longest,
    )  # fmt: skip


def _plain(option: Option) -> dict[str, Any]:
    return {**asdict(option), "binds": option.binds}
