"""The space of a search: its holes, each with a finite list of options, and how a choice of options becomes a spec."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Place = tuple[int, ...]  # one option's index for each hole, in the order of the holes


@dataclass(frozen=True)
class Hole:
    """`tie`: holes of one tie are the same choice made for several layers."""

    name: str
    options: tuple[Any, ...]  # JSON values
    tie: str = ""


class SearchSpace(Protocol):
    """What a search needs of a space. `text` identifies it: a resumed run must bring the same."""

    name: str
    text: str

    @property
    def holes(self) -> Sequence[Hole]: ...

    def fill(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The spec with these values in its holes, as JSON."""
        ...


def values_at(space: SearchSpace, place: Sequence[int]) -> dict[str, Any]:
    return {hole.name: hole.options[index] for hole, index in zip(space.holes, place, strict=True)}


def place_of(space: SearchSpace, values: Mapping[str, Any]) -> Place:
    """The inverse of `values_at`. Errors: KeyError or ValueError if the values are not of this space."""
    return tuple(hole.options.index(values[hole.name]) for hole in space.holes)


def tied(space: SearchSpace) -> list[list[int]]:
    """Indices of the holes that are one choice, groups in order of first use."""
    groups: dict[tuple[str, str], list[int]] = {}
    for index, hole in enumerate(space.holes):
        # The same name is not enough: indices of options must mean the same too.
        groups.setdefault((hole.tie or hole.name, repr(hole.options)), []).append(index)
    return list(groups.values())
