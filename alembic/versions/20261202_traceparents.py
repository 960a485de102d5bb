"""Adds the trace that a row's steps go on with, of rows that stand between a request and its webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "8c51d7e02f9a"
down_revision = "f27a60b5c813"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("datasets", sa.Column("traceparent", sa.String(), nullable=True))
    op.add_column("deployments", sa.Column("traceparent", sa.String(), nullable=True))
    op.add_column("jobs", sa.Column("traceparent", sa.String(), nullable=True))
    op.add_column("provider_files", sa.Column("traceparent", sa.String(), nullable=True))
    op.add_column("webhook_deliveries", sa.Column("traceparent", sa.String(), nullable=True))


def downgrade() -> None:
    for table in ("datasets", "deployments", "jobs", "provider_files", "webhook_deliveries"):
        op.drop_column(table, "traceparent")
