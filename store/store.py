"""The store: studies, trials and metrics in one SQL database."""

from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from archspec.errors import InputError
from store import fronts, reading, rows, tables
from store.connect import DEFAULT_URL, connect, parse_url, shown, sqlite_file, writing
from store.records import Candidate, Environment, Metric, Study, Trial, Variant
from store.schema import prepare


def open_store(url: str = DEFAULT_URL, *, create: bool = True) -> "Store":
    """Open the store behind any SQLite or PostgreSQL URL; an empty database gets its tables, an older one is migrated.

    create False: a SQLite file that does not exist is an error and is not made. Errors: InputError for a URL that
    cannot be parsed, reached or used.
    """
    parsed = parse_url(url)
    file = sqlite_file(parsed)
    if file is not None and not create and not file.exists():
        raise InputError(
            f"there is no store at {file}; `archspec search` makes one, --store names another", source="--store"
        )
    engine = connect(parsed)
    prepare(engine, shown(parsed))
    return Store(engine)


class Store:
    """Every write is one transaction: kept as a whole or not at all. Close it, or use it in a `with` statement."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.url = shown(engine.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.engine.dispose()

    # --- studies

    def add_study(self, study: Study, environment: Environment) -> int:
        """Its id. Errors: InputError if the name is taken."""
        try:
            with writing(self.engine) as connection:
                row = {
                    "name": study.name,
                    "seed": study.seed,
                    "context": study.context,
                    "batch": study.batch,
                    "device": study.device,
                    "budget_bytes": study.budget_bytes,
                    "settings": study.settings,
                    "environment_id": rows.environment_id(connection, environment),
                    "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
                }
                return int(connection.execute(tables.studies.insert().returning(tables.studies.c.id), row).scalar_one())
        except IntegrityError as error:
            raise InputError(
                f"the store already has a study '{study.name}'; --resume goes on with it", source="--study"
            ) from error

    def study(self, name: str) -> Study | None:
        """The study of that name, or None."""
        t = tables.studies
        with self.engine.connect() as connection:
            row = connection.execute(select(t).where(t.c.name == name)).mappings().first()
        if row is None:
            return None
        return Study(
            **{
                key: row[key]
                for key in ("name", "seed", "context", "batch", "device", "budget_bytes", "settings", "id")
            }
        )

    def study_names(self) -> list[str]:
        """All studies, oldest first."""
        with self.engine.connect() as connection:
            return list(connection.execute(select(tables.studies.c.name).order_by(tables.studies.c.id)).scalars())

    def device_names(self) -> list[str]:
        """The devices of all studies, by name."""
        t = tables.studies
        with self.engine.connect() as connection:
            return list(connection.execute(select(t.c.device).distinct().order_by(t.c.device)).scalars())

    # --- trials

    def add_trials(self, study_id: int, trials: Sequence[Trial], environment: Environment) -> None:
        """A batch of trials with their variants, metrics and rejections, in one transaction.

        Errors: InputError if one of the numbers is in the store already (two processes on one study).
        """
        if not trials:
            return
        try:
            with writing(self.engine) as connection:
                environment_id = rows.environment_id(connection, environment)
                rows.add_variants(connection, [trial.variant for trial in trials if trial.variant])
                rows.add_metrics(connection, study_id, [metric for trial in trials for metric in trial.metrics])
                ids = connection.execute(
                    tables.trials.insert().returning(tables.trials.c.id, sort_by_parameter_order=True),
                    [rows.trial_row(study_id, environment_id, trial) for trial in trials],
                ).scalars()
                rejected = [
                    {"trial_id": id_, **trial.rejection.__dict__}
                    for id_, trial in zip(ids, trials, strict=True)
                    if trial.rejection
                ]
                if rejected:
                    connection.execute(tables.rejections.insert(), rejected)
        except IntegrityError as error:
            raise InputError(
                "these trials are in the store already: does another process run the same study?", source="--study"
            ) from error
        except DBAPIError as error:
            raise InputError(f"the store {self.url} cannot be written: {error.orig}", source="--store") from error

    def add_metrics(self, variant: Variant, metrics: Sequence[Metric]) -> None:
        """Numbers measured outside a study, with the variant that they belong to, in one transaction."""
        with writing(self.engine) as connection:
            rows.add_variants(connection, [variant])
            rows.add_metrics(connection, None, metrics)

    def trials(self, study_id: int) -> list[Trial]:
        """All trials of a study by number, with variants, metrics (on the trial that brought them) and rejections."""
        t, v, a, r, m = tables.trials, tables.variants, tables.architectures, tables.rejections, tables.metrics
        query = (
            select(
                t,
                v.c.hash,
                v.c.spec,
                *(a.c[name] for name in rows.PARAMETERS),
                r.c.kind,
                r.c.reason,
                r.c.binding,
                r.c.memory_bytes,
            )
            .outerjoin_from(t, v, t.c.variant == v.c.variant)
            .outerjoin(a, v.c.hash == a.c.hash)
            .outerjoin(r, r.c.trial_id == t.c.id)
            .where(t.c.study_id == study_id)
            .order_by(t.c.number)
        )
        metrics: dict[str, list[Metric]] = {}
        with self.engine.connect() as connection:
            for row in connection.execute(select(m).where(m.c.study_id == study_id).order_by(m.c.id)).mappings():
                fields = {key: value for key, value in row.items() if key not in ("id", "study_id")}
                metrics.setdefault(row["variant"], []).append(Metric(**fields))
            found = connection.execute(query).mappings().all()
        return [rows.trial_of(row, metrics) for row in found]

    # --- questions

    def candidates(
        self,
        study: str | None = None,
        *,
        max_memory_bytes: int | None = None,
        min_tokens_per_second: float | None = None,
        context: int | None = None,
        device: str | None = None,
    ) -> list[Candidate]:
        """Feasible trials with their objectives, by study and number.

        Errors: InputError for a study that is not there.
        """
        if study is not None and study not in (names := self.study_names()):
            raise InputError(
                f"no study '{study}' in {self.url}; there are: {', '.join(names) or 'none'}", source="--study"
            )
        with self.engine.connect() as connection:
            return fronts.candidates(
                connection, study, max_memory_bytes, min_tokens_per_second, context=context, device=device
            )

    def front(self, study: str | None = None, **filters: Any) -> list[Candidate]:
        """The Pareto front (quality and speed up, memory down) of `candidates(study, **filters)`, best quality first.

        Over several studies a variant counts once, and only numbers of the same context, batch and device are compared.
        """
        return fronts.front(self.candidates(study, **filters))

    def query(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Column names and rows of one SELECT; the connection cannot write."""
        return reading.run_query(self.engine, sql)
