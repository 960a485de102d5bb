"""Adds the networks from which an API key may be used, and the indexes that quotas are counted by."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "c27f90d1a5e8"
down_revision = "7c1f0a93be52"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "api_keys",
        sa.Column("allowed_networks", JSONB(none_as_null=True), server_default=sa.text("'[]'"), nullable=False),
    )
    op.create_index("ix_uploads_pending", "uploads", ["project_id"], postgresql_where=sa.text("status = 'pending'"))
    op.create_index("ix_stored_answers_project_id", "stored_answers", ["project_id"])


def downgrade() -> None:
    op.drop_index("ix_stored_answers_project_id", "stored_answers")
    op.drop_index("ix_uploads_pending", "uploads")
    op.drop_column("api_keys", "allowed_networks")
