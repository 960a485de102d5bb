"""Adds what lists of jobs show: who created a job, when it was sent and began, its losses; and an index by suffix."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "91d4f7b20c6a"
down_revision = "75b6e192dd4e"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
INDEX = "ix_jobs_by_suffix"


def upgrade() -> None:
    with op.get_context().autocommit_block():  # jobs go on while the index is made
        op.drop_index(INDEX, table_name="jobs", if_exists=True, postgresql_concurrently=True)  # of a failed attempt
        op.create_index(
            INDEX,
            "jobs",
            ["project_id", "suffix"],
            postgresql_ops={"suffix": "text_pattern_ops"},
            postgresql_concurrently=True,
        )
    op.add_column("jobs", sa.Column("api_key_id", sa.String(), nullable=True))
    op.create_foreign_key("fk_jobs_api_key_id", "jobs", "api_keys", ["api_key_id"], ["id"])
    op.add_column("jobs", sa.Column("loss_summary", JSONB(), server_default=sa.text("'{}'"), nullable=False))
    op.add_column("jobs", sa.Column("sent_at", TIME, nullable=True))
    op.add_column("jobs", sa.Column("started_at", TIME, nullable=True))


def downgrade() -> None:
    op.drop_index(INDEX, table_name="jobs")
    op.drop_column("jobs", "started_at")
    op.drop_column("jobs", "sent_at")
    op.drop_column("jobs", "loss_summary")
    op.drop_constraint("fk_jobs_api_key_id", "jobs")
    op.drop_column("jobs", "api_key_id")
