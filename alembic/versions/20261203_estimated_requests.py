"""Adds how many answers were counted by an estimate."""

import sqlalchemy as sa
from alembic import op

revision = "5f0b93d7ce18"
down_revision = "4b7e90d15c3f"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "daily_inference", sa.Column("estimated_requests", sa.BigInteger(), server_default="0", nullable=False)
    )


def downgrade() -> None:
    op.drop_column("daily_inference", "estimated_requests")
