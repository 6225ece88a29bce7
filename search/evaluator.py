"""What a search asks about a spec. The real answers come from `search.costed`; tests bring exact, cheap ones."""

from dataclasses import dataclass
from typing import Any, Protocol

from search.quality import Traits


@dataclass(frozen=True)
class Setting:
    """Under which every number of a search holds."""

    context: int  # tokens in the cache when speed and memory are taken
    batch: int
    device: str


@dataclass(frozen=True)
class Memory:
    """Bytes by term: weights, cache, activations, logits, workspace, reserve."""

    terms: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.terms.values())

    @property
    def binding(self) -> str:
        """The largest term."""
        return max(self.terms, key=lambda name: self.terms[name])


@dataclass(frozen=True)
class Examined:
    """A valid spec with the memory it needs at least: quick to get, and enough to refuse or repair it."""

    memory: Memory
    handle: Any = None  # the evaluator's own, so that the next questions do not begin anew


@dataclass(frozen=True)
class Evaluation:
    """Everything about a variant at a setting."""

    hash: str
    variant: str
    spec: str  # canonical JSON
    memory: Memory
    decode_tokens_per_second: float
    prefill_tokens_per_second: float
    decode_bound: str  # what limits it: compute, memory, launch
    parameters_total: int
    parameters_active: int
    parameters_active_non_embedding: int
    precision: str
    traits: Traits


class Evaluator(Protocol):
    """Three questions about a spec, each dearer than the one before."""

    setting: Setting

    def examine(self, spec: dict[str, Any]) -> Examined:
        """Errors: InputError for a spec that breaks a rule of the language or cannot be lowered."""
        ...

    def variant(self, examined: Examined) -> str:
        """Equal for two specs exactly if their evaluations are."""
        ...

    def evaluate(self, examined: Examined) -> Evaluation:
        """Errors: InputError for what cannot be costed."""
        ...
