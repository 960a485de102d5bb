"""Adds what asking models has cost."""

import sqlalchemy as sa
from alembic import op

revision = "e1b74c90d2a6"
down_revision = "c5d20e7f9a14"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("daily_inference", sa.Column("cost", sa.Numeric(), server_default="0", nullable=False))
    op.add_column(
        "daily_inference", sa.Column("unpriced_requests", sa.BigInteger(), server_default="0", nullable=False)
    )


def downgrade() -> None:
    op.drop_column("daily_inference", "unpriced_requests")
    op.drop_column("daily_inference", "cost")
