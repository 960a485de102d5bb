"""watches."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

AT_PROVIDER = "provider_job_id IS NOT NULL AND status NOT IN ('succeeded', 'failed', 'cancelled')"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "watches",
        sa.Column("due_at", time, nullable=True),
        sa.Column("enqueued_at", time, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retries", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("credential_id", sa.String(), nullable=False),
        sa.Column("changed_at", time, nullable=False),
        sa.Column("listed_at", time, nullable=True),
        sa.Column("next_poll_at", time, nullable=True),
        sa.ForeignKeyConstraint(["credential_id"], ["credentials.id"], name=op.f("fk_watches_credential_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watches")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_watches_credential_id")),
    )
    op.create_index(op.f("ix_watches_due_at"), "watches", ["due_at"])
    op.add_column("jobs", sa.Column("changed_at", time, nullable=True))
    op.create_index(
        "ix_jobs_at_provider", "jobs", ["credential_id", "provider_job_id"], postgresql_where=sa.text(AT_PROVIDER)
    )
    op.add_column("credentials", sa.Column("paused_until", time, nullable=True))
    op.add_column("credentials", sa.Column("pauses", sa.Integer(), nullable=False, server_default="0"))
    op.alter_column("credentials", "pauses", server_default=None)


def downgrade() -> None:
    op.drop_column("credentials", "pauses")
    op.drop_column("credentials", "paused_until")
    op.drop_index("ix_jobs_at_provider", table_name="jobs")
    op.drop_column("jobs", "changed_at")
    op.drop_table("watches")
