"""Records as rows of the tables, and back."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from store import tables
from store.records import FEASIBLE, REJECTED, Environment, Metric, Move, Rejection, Trial, Variant

PARAMETERS = ("parameters_total", "parameters_active", "parameters_active_non_embedding")


def _insert_new(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert what is not there yet, judged by the table's keys."""
    if rows:
        dialect = {"sqlite": sqlite, "postgresql": postgresql}[connection.dialect.name]
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)


def environment_id(connection: Connection, environment: Environment) -> int:
    """The id of an environment, which is written where it is new."""
    row = dict(environment.__dict__)
    row["fingerprint"] = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
    _insert_new(connection, tables.environments, [row])
    t = tables.environments
    return int(connection.execute(select(t.c.id).where(t.c.fingerprint == row["fingerprint"])).scalar_one())


def add_variants(connection: Connection, variants: Iterable[Variant]) -> None:
    """Those that are not there yet, with their architectures."""
    rows = {variant.variant: variant for variant in variants}
    architectures = {v.hash: {"hash": v.hash, **{name: getattr(v, name) for name in PARAMETERS}} for v in rows.values()}
    _insert_new(connection, tables.architectures, list(architectures.values()))
    _insert_new(
        connection, tables.variants, [{"variant": v.variant, "hash": v.hash, "spec": v.spec} for v in rows.values()]
    )


def add_metrics(connection: Connection, study_id: int | None, metrics: Iterable[Metric]) -> None:
    """Numbers of a study; None: measured outside one."""
    rows = [{"study_id": study_id, **metric.__dict__} for metric in metrics]
    if rows:
        connection.execute(tables.metrics.insert(), rows)


def trial_row(study_id: int, environment_id: int, trial: Trial) -> dict[str, Any]:
    """A trial as it is inserted, without its metrics and rejection."""
    return {
        "study_id": study_id,
        "number": trial.number,
        "state": trial.state,
        "phase": trial.phase,
        "seed": trial.seed,
        "proposed": trial.proposed,
        "repairs": [[move.hole, move.before, move.after] for move in trial.repairs],
        "variant": trial.variant.variant if trial.variant else None,
        "environment_id": environment_id,
    }


def trial_of(row: Any, metrics: dict[str, list[Metric]]) -> Trial:
    """A trial from its joined row; `metrics` by variant."""
    variant = rejection = None
    if row["variant"] is not None:
        variant = Variant(row["hash"], row["variant"], row["spec"], *(row[name] for name in PARAMETERS))
    if row["state"] == REJECTED:
        rejection = Rejection(row["kind"], row["reason"], row["binding"], row["memory_bytes"])
    own = tuple(metrics.get(row["variant"], ())) if row["state"] == FEASIBLE else ()
    return Trial(
        number=row["number"],
        state=row["state"],
        phase=row["phase"],
        seed=row["seed"],
        proposed=row["proposed"],
        repairs=tuple(Move(*move) for move in row["repairs"]),
        variant=variant,
        metrics=own,
        rejection=rejection,
    )
