"""The tables of the store, once, for every dialect (SQLAlchemy Core).

    environments ─┐
    studies ──────┴─< trials >── variants >── architectures
                       │  └──< rejections
    metrics: one number about an architecture (`hash`) or a variant of it, with all that is needed to compare it

An architecture is known by `hash` (what it computes), a variant by `variant` (hash + precision + maximum length):
evaluations belong to variants; a quality measured for the architecture as such leaves `variant` empty. Bytes are
plain bytes, speeds tokens per second.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite only counts up by itself on INTEGER keys; PostgreSQL gets 64 bits.
_ID = BigInteger().with_variant(Integer, "sqlite")

environments = Table(
    "environments",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("fingerprint", String(64), nullable=False, unique=True),  # of the three below: the same machine is one row
    Column("archspec", String(40), nullable=False),
    Column("python", String(40), nullable=False),
    Column("platform", Text, nullable=False),
    Column("packages", JSON, nullable=False),  # name -> version
)

studies = Table(
    "studies",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("seed", BigInteger, nullable=False),
    Column("context", BigInteger, nullable=False),  # tokens
    Column("batch", Integer, nullable=False),
    Column("device", String(80), nullable=False),
    Column("budget_bytes", BigInteger, nullable=False),
    Column("settings", JSON, nullable=False),  # everything else that a resumed run must find the same
    Column("environment_id", _ID, ForeignKey("environments.id"), nullable=False),
    Column("created_at", String(32), nullable=False),  # UTC, ISO 8601
)

architectures = Table(
    "architectures",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("parameters_total", BigInteger, nullable=False),
    Column("parameters_active", BigInteger, nullable=False),
    Column("parameters_active_non_embedding", BigInteger, nullable=False),
)

variants = Table(
    "variants",
    metadata,
    Column("variant", String(64), primary_key=True),
    Column("hash", String(64), ForeignKey("architectures.hash"), nullable=False, index=True),
    Column("spec", Text, nullable=False),  # the canonical spec, as JSON
)

trials = Table(
    "trials",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("study_id", _ID, ForeignKey("studies.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # feasible | rejected | duplicate
    Column("phase", String(16), nullable=False),  # uniform | evolved
    Column("seed", BigInteger, nullable=False),
    Column("proposed", JSON, nullable=False),  # hole -> value, as the sampler proposed it
    Column("repairs", JSON, nullable=False),  # [hole, before, after]: what brought it under the budget
    Column("variant", String(64), ForeignKey("variants.variant"), index=True),  # none: no valid spec came out
    Column("environment_id", _ID, ForeignKey("environments.id"), nullable=False),
    UniqueConstraint("study_id", "number"),
)

rejections = Table(
    "rejections",
    metadata,
    Column("trial_id", _ID, ForeignKey("trials.id"), primary_key=True),
    Column("kind", String(16), nullable=False),  # budget | rule | unsupported
    Column("reason", Text, nullable=False),
    Column("binding", String(40)),  # the largest term of the memory, for kind = budget
    Column("memory_bytes", BigInteger),
)

metrics = Table(
    "metrics",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("study_id", _ID, ForeignKey("studies.id")),  # none: measured outside a study
    Column("hash", String(64), ForeignKey("architectures.hash"), nullable=False, index=True),
    Column("variant", String(64), ForeignKey("variants.variant")),
    Column("name", String(60), nullable=False),
    Column("value", Float(53), nullable=False),
    Column("unit", String(30), nullable=False),
    Column("sigma", Float(53)),  # one standard deviation, same unit; none: exact under its own convention
    Column("fidelity", String(40), nullable=False),  # prior | roofline | exact | measured ...
    Column("device", String(80)),  # none: holds on any
    Column("context", BigInteger),
    Column("batch", Integer),
    Column("precision", String(80)),
    Column("detail", JSON),  # how it came about: bound, corrections, ...
    UniqueConstraint("study_id", "variant", "name", "fidelity"),
)

Index("ix_trials_study_id_state", trials.c.study_id, trials.c.state)
Index("ix_metrics_variant_name", metrics.c.variant, metrics.c.name)
