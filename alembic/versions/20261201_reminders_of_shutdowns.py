"""Adds the days before its end of which a tuned model's project was last reminded."""

import sqlalchemy as sa
from alembic import op

revision = "8e41d7c3b09f"
down_revision = "91d4f7b20c6a"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tuned_models", sa.Column("shutdown_reminder", sa.Integer()))


def downgrade() -> None:
    op.drop_column("tuned_models", "shutdown_reminder")
