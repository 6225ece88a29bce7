"""What both pictures of a front share: panels, the line of the best quality for the memory, what is labelled."""

from collections.abc import Sequence
from dataclasses import dataclass

from store.fronts import by_setting, equals
from store.records import Candidate

PANELS = 12  # of one picture


@dataclass(frozen=True)
class Panel:
    """What is drawn of one setting."""

    name: str
    dominated: list[Candidate]
    front: list[Candidate]  # of equal ones the first
    equal: list[int]  # how many each of them stands for


def panels(candidates: Sequence[Candidate], front: Sequence[Candidate]) -> list[Panel]:
    """One for each setting: numbers of different settings are not compared."""
    on_front = {c.key for c in front}
    found: list[Panel] = []
    for group in by_setting(front):
        dominated = [c for c in candidates if c.setting == group[0].setting and c.key not in on_front]
        ties = equals(group)
        found.append(Panel(setting(group[0]), dominated, [tie[0] for tie in ties], [len(tie) for tie in ties]))
    return found


def envelope(front: Sequence[Candidate]) -> list[Candidate]:
    """By rising memory: the candidates that are better than all smaller ones."""
    line: list[Candidate] = []
    for c in sorted(front, key=lambda c: (c.memory_bytes, -c.quality)):
        if not line or c.quality > line[-1].quality:
            line.append(c)
    return line


def labelled(front: Sequence[Candidate]) -> list[tuple[Candidate, str]]:
    """The best, the best that fits half its memory, and the fastest; each candidate once."""
    best = max(front, key=lambda c: (c.quality, -c.trial))
    half = [c for c in front if c.memory_bytes <= best.memory_bytes / 2]
    fastest = max(front, key=lambda c: (c.tokens_per_second, -c.trial))
    chosen = [(best, "best quality"), (fastest, "fastest")]
    if half:
        chosen.insert(1, (max(half, key=lambda c: (c.quality, -c.trial)), "best in half the memory"))
    return list({c.variant: (c, text) for c, text in reversed(chosen)}.values())[::-1]


def setting(c: Candidate) -> str:
    """Under what a candidate's numbers hold."""
    return f"{c.context:,} tokens, batch {c.batch}, {c.device}"


def title(drawn: Sequence[Panel], of: int) -> str:
    """Of a picture: its setting, or how many there are."""
    if of == 1:
        return drawn[0].name
    if len(drawn) == of:
        return f"{of} settings, each with a front of its own"
    return f"the first {len(drawn)} of {of} settings; --context, --device or --study picks others"
