"""Adds which of the provider's files the last create of a job has named: some providers keep no other mark of a job."""

import sqlalchemy as sa
from alembic import op

revision = "8b1e5f7a2c93"
down_revision = "15fb424168f0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("provider_training_file", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "provider_training_file")
