"""Candidates and fronts: the three objectives of every feasible trial, joined from the metrics."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, and_, select

from store import tables
from store.pareto import pareto_mask
from store.records import FEASIBLE, Candidate

# The names of the metrics that are objectives; their units are byte, token/s and (quality) none.
QUALITY, MEMORY, SPEED = "quality", "memory", "decode_speed"


def candidates(
    connection: Connection,
    study: str | None,
    max_memory_bytes: int | None,
    min_tokens_per_second: float | None,
    *,
    context: int | None,
    device: str | None,
) -> list[Candidate]:
    """Feasible trials that pass the filters, by study and trial number."""
    s, t, v, a = tables.studies, tables.trials, tables.variants, tables.architectures
    quality, memory, speed = (tables.metrics.alias(name) for name in (QUALITY, MEMORY, SPEED))
    query = (
        select(
            s.c.name.label("study"),
            t.c.number.label("trial"),
            v.c.hash,
            v.c.variant,
            quality.c.value.label("quality"),
            quality.c.sigma.label("quality_sigma"),
            quality.c.fidelity,
            memory.c.value.label("memory_bytes"),
            speed.c.value.label("tokens_per_second"),
            s.c.context,
            s.c.batch,
            s.c.device,
            a.c.parameters_total,
            a.c.parameters_active_non_embedding,
            v.c.spec,
            quality.c.detail,
        )
        .join_from(t, s, t.c.study_id == s.c.id)
        .join(v, t.c.variant == v.c.variant)
        .join(a, v.c.hash == a.c.hash)
        .where(t.c.state == FEASIBLE)
        .order_by(s.c.id, t.c.number)
    )
    for metric, name in ((quality, QUALITY), (memory, MEMORY), (speed, SPEED)):
        on = and_(metric.c.study_id == t.c.study_id, metric.c.variant == t.c.variant, metric.c.name == name)
        query = query.join(metric, on)
    if study is not None:
        query = query.where(s.c.name == study)
    if max_memory_bytes is not None:
        query = query.where(memory.c.value <= max_memory_bytes)
    if min_tokens_per_second is not None:
        query = query.where(speed.c.value >= min_tokens_per_second)
    if context is not None:
        query = query.where(s.c.context == context)
    if device is not None:
        query = query.where(s.c.device == device)
    return [_candidate(dict(row)) for row in connection.execute(query).mappings()]


def _candidate(row: dict[str, Any]) -> Candidate:
    detail = row.pop("detail") or {}
    row["memory_bytes"] = int(row["memory_bytes"])
    row["quality_sigma"] = row["quality_sigma"] or 0.0
    return Candidate(**row, corrections=detail.get("corrections", {}))


def front(found: Sequence[Candidate], *, by_parameters: bool = False) -> list[Candidate]:
    """The Pareto front of `found`: quality and speed up, memory down; ties kept; best quality first.

    A variant found by several studies counts once (the first). Candidates of different settings (context, batch,
    device) are not compared: the result is the union of one front for each setting. by_parameters: the number of
    active non-embedding parameters stands in for quality.
    """
    chosen: list[Candidate] = []
    for group in _first_of_each_variant(found):
        worth = [c.parameters_active_non_embedding if by_parameters else c.quality for c in group]
        points = [[w, -c.memory_bytes, c.tokens_per_second] for w, c in zip(worth, group, strict=True)]
        mask = pareto_mask(np.array(points, dtype=np.float64).reshape(-1, 3))
        chosen += [c for c, kept in zip(group, mask, strict=True) if kept]
    return sorted(chosen, key=lambda c: (-c.quality, c.memory_bytes, -c.tokens_per_second))  # ties: as found


def by_setting(front: Iterable[Candidate]) -> list[list[Candidate]]:
    """One list for each setting, by context, batch and device; each in the order of `front`."""
    groups: dict[tuple[int, int, str], list[Candidate]] = {}
    for candidate in front:
        groups.setdefault(candidate.setting, []).append(candidate)
    return [groups[setting] for setting in sorted(groups)]


def equals(front: Iterable[Candidate]) -> list[list[Candidate]]:
    """Candidates of one setting that no objective tells apart, together, in the order of `front`."""
    groups: dict[tuple[Any, ...], list[Candidate]] = {}
    for candidate in front:
        groups.setdefault((candidate.setting, candidate.objectives), []).append(candidate)
    return list(groups.values())


def _first_of_each_variant(found: Iterable[Candidate]) -> list[list[Candidate]]:
    groups: dict[tuple[int, int, str], dict[str, Candidate]] = {}
    for candidate in found:
        groups.setdefault(candidate.setting, {}).setdefault(candidate.variant, candidate)
    return [list(group.values()) for group in groups.values()]
