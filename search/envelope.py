"""What both pictures of a front share: the line of the best quality for each memory, and which points are labelled."""

from collections.abc import Sequence

from store.records import Candidate


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


def title(front: Sequence[Candidate]) -> str:
    """Under what the numbers hold."""
    settings = sorted({c.setting for c in front})
    return "; ".join(f"{context:,} tokens, batch {batch}, {device}" for context, batch, device in settings)
