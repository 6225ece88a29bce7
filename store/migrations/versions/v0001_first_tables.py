"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# What store.tables looked like then: written out, since a migration must not change when the tables do.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "architectures",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("parameters_total", sa.BigInteger(), nullable=False),
        sa.Column("parameters_active", sa.BigInteger(), nullable=False),
        sa.Column("parameters_active_non_embedding", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_architectures")),
    )
    op.create_table(
        "environments",
        sa.Column("id", ID, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("archspec", sa.String(length=40), nullable=False),
        sa.Column("python", sa.String(length=40), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("packages", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_environments")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_environments_fingerprint")),
    )
    op.create_table(
        "studies",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("context", sa.BigInteger(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(length=80), nullable=False),
        sa.Column("budget_bytes", sa.BigInteger(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("environment_id", ID, nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environments.id"], name=op.f("fk_studies_environment_id_environments")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
        sa.UniqueConstraint("name", name=op.f("uq_studies_name")),
    )
    op.create_table(
        "variants",
        sa.Column("variant", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["hash"], ["architectures.hash"], name=op.f("fk_variants_hash_architectures")),
        sa.PrimaryKeyConstraint("variant", name=op.f("pk_variants")),
    )
    op.create_index(op.f("ix_variants_hash"), "variants", ["hash"], unique=False)
    op.create_table(
        "metrics",
        sa.Column("id", ID, nullable=False),
        sa.Column("study_id", ID, nullable=True),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("variant", sa.String(length=64), nullable=True),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("value", sa.Float(precision=53), nullable=False),
        sa.Column("unit", sa.String(length=30), nullable=False),
        sa.Column("sigma", sa.Float(precision=53), nullable=True),
        sa.Column("fidelity", sa.String(length=40), nullable=False),
        sa.Column("device", sa.String(length=80), nullable=True),
        sa.Column("context", sa.BigInteger(), nullable=True),
        sa.Column("batch", sa.Integer(), nullable=True),
        sa.Column("precision", sa.String(length=80), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["hash"], ["architectures.hash"], name=op.f("fk_metrics_hash_architectures")),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_metrics_study_id_studies")),
        sa.ForeignKeyConstraint(["variant"], ["variants.variant"], name=op.f("fk_metrics_variant_variants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metrics")),
        sa.UniqueConstraint(
            "study_id", "variant", "name", "fidelity", name=op.f("uq_metrics_study_id_variant_name_fidelity")
        ),
    )
    op.create_index(op.f("ix_metrics_hash"), "metrics", ["hash"], unique=False)
    op.create_index("ix_metrics_variant_name", "metrics", ["variant", "name"], unique=False)
    op.create_table(
        "trials",
        sa.Column("id", ID, nullable=False),
        sa.Column("study_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("proposed", sa.JSON(), nullable=False),
        sa.Column("repairs", sa.JSON(), nullable=False),
        sa.Column("variant", sa.String(length=64), nullable=True),
        sa.Column("environment_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environments.id"], name=op.f("fk_trials_environment_id_environments")
        ),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_trials_study_id_studies")),
        sa.ForeignKeyConstraint(["variant"], ["variants.variant"], name=op.f("fk_trials_variant_variants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trials")),
        sa.UniqueConstraint("study_id", "number", name=op.f("uq_trials_study_id_number")),
    )
    op.create_index(op.f("ix_trials_variant"), "trials", ["variant"], unique=False)
    op.create_table(
        "rejections",
        sa.Column("trial_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("binding", sa.String(length=40), nullable=True),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name=op.f("fk_rejections_trial_id_trials")),
        sa.PrimaryKeyConstraint("trial_id", name=op.f("pk_rejections")),
    )
