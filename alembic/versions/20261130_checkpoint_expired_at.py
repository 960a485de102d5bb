"""Adds when a provider dropped a checkpoint, and why a request about a job was not carried out."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "4ee2aa2f028e"
down_revision = "39e60f81f5a0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("checkpoints", sa.Column("expired_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("request_error", JSONB(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "request_error")
    op.drop_column("checkpoints", "expired_at")
