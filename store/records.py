"""Plain values that go into the store and come out of it. Nothing here knows SQL."""

from dataclasses import dataclass, field
from typing import Any

FEASIBLE, REJECTED, DUPLICATE = "feasible", "rejected", "duplicate"


@dataclass(frozen=True)
class Environment:
    """Where something ran. `packages` maps a distribution to its version."""

    archspec: str
    python: str
    platform: str
    packages: dict[str, str]


@dataclass(frozen=True)
class Study:
    """One search: what was asked. `settings` holds all that a resumed run must find unchanged."""

    name: str
    seed: int
    context: int
    batch: int
    device: str
    budget_bytes: int
    settings: dict[str, Any]
    id: int | None = None


@dataclass(frozen=True)
class Variant:
    """An architecture with precision and maximum length: the thing that evaluations belong to."""

    hash: str
    variant: str
    spec: str  # canonical JSON
    parameters_total: int
    parameters_active: int
    parameters_active_non_embedding: int


@dataclass(frozen=True)
class Metric:
    """One number with everything needed to compare it. `variant` None: it holds for the architecture as such."""

    hash: str
    variant: str | None
    name: str
    value: float
    unit: str
    fidelity: str
    sigma: float | None = None
    device: str | None = None
    context: int | None = None
    batch: int | None = None
    precision: str | None = None
    detail: dict[str, Any] | None = None


@dataclass(frozen=True)
class Rejection:
    """Why a proposal did not become a candidate."""

    kind: str  # budget | rule | unsupported
    reason: str
    binding: str | None = None  # for a budget: the largest memory term
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Move:
    """A hole that was given another value than proposed, so that the spec fits the budget."""

    hole: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Trial:
    """One proposal and what became of it. `metrics` are new ones: a duplicate brings none."""

    number: int
    state: str
    phase: str
    seed: int
    proposed: dict[str, Any]
    repairs: tuple[Move, ...] = ()
    variant: Variant | None = None
    metrics: tuple[Metric, ...] = ()
    rejection: Rejection | None = None


@dataclass(frozen=True)
class Candidate:
    """A feasible trial with its three objectives, as fronts are made of."""

    study: str
    trial: int
    hash: str
    variant: str
    quality: float
    quality_sigma: float
    fidelity: str
    memory_bytes: int
    tokens_per_second: float
    context: int
    batch: int
    device: str
    parameters_total: int
    parameters_active_non_embedding: int
    spec: str = field(repr=False)
    corrections: dict[str, float] = field(default_factory=dict, repr=False)  # what stands behind the quality, by name

    @property
    def setting(self) -> tuple[int, int, str]:
        """Numbers are only comparable within one setting."""
        return self.context, self.batch, self.device

    @property
    def key(self) -> tuple[tuple[int, int, str], str]:
        """What it is: a variant counts once in each setting."""
        return self.setting, self.variant

    @property
    def objectives(self) -> tuple[float, int, float]:
        return self.quality, self.memory_bytes, self.tokens_per_second
