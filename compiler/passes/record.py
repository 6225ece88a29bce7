"""What a pass hands on beside the program: how often it matched, what it refused and why, what it saves."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """A candidate left as it was. `calls`: how many layers run the graph."""

    graph: str
    node: str
    reason: str
    calls: int


@dataclass(frozen=True, slots=True)
class PassRecord:
    """Counts are per layer: a match in a block that 30 layers run counts 30.

    saved: "nodes" executed, and "elements_per_token" of activations read and written (batch 1, one token).
    """

    name: str
    matched: int
    expected: int  # candidates: matched + refused
    refused: tuple[Refusal, ...] = ()
    saved: Mapping[str, int] = field(default_factory=dict)
    modified: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
