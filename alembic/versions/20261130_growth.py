"""Adds what keeps questions quick over the years: labels in a table, daily sums, and indexes for filters."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "7c1f0a93be52"
down_revision = "b61d5c0e7a42"
branch_labels = None
depends_on = None

TEXT, AMOUNT, BIGINT, TIME = sa.String(), sa.Numeric(), sa.BigInteger(), sa.DateTime(timezone=True)
TABLES = ("job_labels", "daily_sums", "daily_jobs", "project_storage")

INDEXES = [
    ("ix_daily_sums_project_id_daily_sums_month", "daily_sums", ["project_id", "month"], None),
    ("ix_daily_sums_day", "daily_sums", ["day"], None),
    ("ix_jobs_project_id_jobs_approval_jobs_id", "jobs", ["project_id", "approval", "id"], "approval IS NOT NULL"),
    ("ix_jobs_without_labels", "jobs", ["project_id", "id"], "(labels IS NULL OR labels = '{}')"),
    ("ix_jobs_with_all_metrics", "jobs", ["finished_at"], "metrics_thinned_at IS NULL"),
    ("ix_jobs_failed", "jobs", ["id"], "status = 'failed'"),
    (
        "ix_datasets_project_id_datasets_purpose_datasets_id",
        "datasets",
        ["project_id", "purpose", "id"],
        "deleted_at IS NULL",
    ),
    ("ix_datasets_project_id_datasets_split_of", "datasets", ["project_id", "split_of"], "split_of IS NOT NULL"),
    ("ix_datasets_there", "datasets", ["project_id", "id"], "deleted_at IS NULL"),
    ("ix_datasets_in_error", "datasets", ["id"], "status = 'error'"),
    (
        "ix_webhook_events_by_type",
        "webhook_events",
        ["project_id", "type", "id"],
        None,
    ),
    (
        "ix_webhook_deliveries_not_succeeded",
        "webhook_deliveries",
        ["endpoint_id", "status", "id"],
        "status IN ('pending', 'failed')",
    ),
    ("ix_webhook_deliveries_failed", "webhook_deliveries", ["id"], "status = 'failed'"),
    ("ix_audit_logs_type_audit_logs_id", "audit_logs", ["type", "id"], None),
    ("ix_audit_logs_api_key_id_audit_logs_id", "audit_logs", ["api_key_id", "id"], None),
    ("ix_audit_logs_by_operator", "audit_logs", ["id"], "actor = 'operator'"),
]


def upgrade() -> None:
    op.create_table(
        "job_labels",
        sa.Column("project_id", TEXT, sa.ForeignKey("projects.id"), primary_key=True),
        sa.Column("key", TEXT, primary_key=True),
        sa.Column("value", TEXT, primary_key=True),
        sa.Column("job_id", TEXT, sa.ForeignKey("jobs.id"), primary_key=True),
    )
    op.create_table(
        "daily_sums",
        sa.Column("project_id", TEXT, sa.ForeignKey("projects.id"), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("month", sa.Date(), primary_key=True),
        sa.Column("is_reserved", sa.Boolean(), primary_key=True),
        sa.Column("line_item", TEXT, primary_key=True),
        sa.Column("currency", TEXT, primary_key=True),
        sa.Column("amount", AMOUNT, nullable=False),
        sa.Column("quantity", BIGINT, nullable=True),
    )
    op.create_table(
        "daily_jobs",
        sa.Column("project_id", TEXT, sa.ForeignKey("projects.id"), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("status", sa.String(32), primary_key=True),
        sa.Column("jobs", BIGINT, nullable=False),
        sa.Column("trained_tokens", BIGINT, nullable=False),
    )
    op.create_table(
        "project_storage",
        sa.Column("project_id", TEXT, sa.ForeignKey("projects.id"), primary_key=True),
        sa.Column("files", BIGINT, nullable=False),
        sa.Column("bytes", BIGINT, nullable=False),
    )
    for table in TABLES:
        op.execute(f"select tunery_protect('{table}')")
    op.add_column("jobs", sa.Column("metrics_thinned_at", TIME, nullable=True))
    op.add_column("projects", sa.Column("events_read_at", TIME, nullable=True))
    op.add_column("datasets", sa.Column("split_of", TEXT, sa.Computed("source ->> 'split_of'", persisted=True)))
    for name, table, columns, condition in INDEXES:
        op.create_index(name, table, columns, postgresql_where=sa.text(condition) if condition else None)
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    op.execute(
        "drop trigger ledger_entries_daily_sums on ledger_entries; drop function tunery_add_to_daily_sums();"
        "drop trigger jobs_labels on jobs; drop function tunery_write_labels();"
        "drop trigger jobs_ended_at_once on jobs; drop trigger jobs_ended on jobs; drop function tunery_count_ended();"
        "drop trigger datasets_stored on datasets; drop function tunery_count_stored();"
    )
    for name, table, _, _ in INDEXES[::-1]:
        op.drop_index(name, table_name=table)
    op.drop_column("datasets", "split_of")
    op.drop_column("projects", "events_read_at")
    op.drop_column("jobs", "metrics_thinned_at")
    for table in TABLES[::-1]:
        op.drop_table(table)
