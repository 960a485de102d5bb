"""answers: how often what was asked for was not possible, and since when there was no usable answer about a job."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("refusals", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("unanswered_since", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("jobs", "unanswered_since")
    op.drop_column("jobs", "refusals")
