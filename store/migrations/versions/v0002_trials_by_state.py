"""An index for what every front asks: the feasible trials of a study."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_trials_study_id_state", "trials", ["study_id", "state"])
