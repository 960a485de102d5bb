"""limits and audit."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("api_key_id", sa.String(), nullable=True),
        sa.Column("max_requests_per_1_minute", sa.Integer(), nullable=True),
        sa.Column("max_bytes_per_1_minute", sa.BigInteger(), nullable=True),
        sa.Column("max_jobs_per_1_day", sa.Integer(), nullable=True),
        sa.Column("max_open_jobs", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["api_key_id"], ["api_keys.id"], name=op.f("fk_rate_limits_api_key_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_rate_limits_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate_limits")),
    )
    op.create_index(op.f("ix_rate_limits_project_id"), "rate_limits", ["project_id"], unique=False)
    op.execute("select tunery_protect('rate_limits')")
    op.execute("revoke insert, update, delete on rate_limits from tunery_app")
    op.create_index(
        "ix_jobs_open",
        "jobs",
        ["project_id"],
        unique=False,
        postgresql_where=sa.text("status NOT IN ('succeeded', 'failed', 'cancelled')"),
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_open", table_name="jobs")
    op.drop_table("rate_limits")
