"""Makes the whole schema: the tables here; indexes, triggers, row-level security and grants in `20261129_first.sql`.

Names of constraints come from the naming convention in `shared/db/tables.py`.
"""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

revision = "20261129"
down_revision = None
branch_labels = None
depends_on = None

TEXT, TIME, JSON = sa.String(), sa.DateTime(timezone=True), JSONB()
WORD = sa.String(32)  # a value of an enum; which values there are is checked in Python, so that adding one needs no DDL
INTEGER, BIGINT, FLOAT, BOOLEAN, DATE, AMOUNT = (
    sa.Integer(),
    sa.BigInteger(),
    sa.Float(),
    sa.Boolean(),
    sa.Date(),
    sa.Numeric(),
)


def required(kind: TypeEngine[Any], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def optional(kind: TypeEngine[Any], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind) for name in names]


def reference(name: str, table: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, TEXT, sa.ForeignKey(f"{table}.id"), nullable=nullable)


def row() -> list[sa.Column[Any]]:
    """A prefixed, sortable id and the time of creation, as every table of the models has them."""
    return [sa.Column("id", TEXT, primary_key=True), sa.Column("created_at", TIME, nullable=False)]


def owned() -> list[sa.Column[Any]]:
    """A row of one project. Row-level security is switched on for each table with a `project_id`."""
    return [*row(), reference("project_id", "projects")]


def due() -> list[sa.Column[Any]]:
    """A row with a next step: when it is due, when a message was sent for it, claims since the last recorded step."""
    return [
        sa.Column("due_at", TIME, index=True),
        *optional(TIME, "enqueued_at"),
        *required(INTEGER, "failures", "retries"),
    ]


PROJECTS = {
    "organizations": [*row(), *required(TEXT, "name")],
    "projects": [
        *row(),
        reference("organization_id", "organizations"),
        *required(TEXT, "name"),
        *required(FLOAT, "weight"),
        *optional(INTEGER, "max_active_jobs"),
        *optional(TIME, "archived_at"),
        *optional(WORD, "model_mode"),
        *required(JSON, "model_ids"),
    ],
    "service_accounts": [*owned(), *optional(TIME, "deleted_at"), *required(TEXT, "name", "role")],
    "api_keys": [
        *row(),
        reference("project_id", "projects", nullable=True),
        reference("service_account_id", "service_accounts", nullable=True),
        *required(TEXT, "name", "secret_sha256", "hint"),
        *optional(TEXT, "previous_sha256"),
        *optional(TIME, "previous_until", "last_used_at", "revoked_at", "expires_at", "expiry_notified_at"),
        *required(JSON, "scopes"),
        sa.UniqueConstraint("previous_sha256"),
        sa.UniqueConstraint("secret_sha256"),
    ],
    "credentials": [
        *row(),
        reference("project_id", "projects", nullable=True),
        *due(),
        *optional(TIME, "deleted_at", "tested_at", "paused_until", "reconciled_at"),
        *required(TEXT, "name", "provider", "base_url"),
        *required(WORD, "dialect"),
        *optional(TEXT, "sealed_api_key", "key_hint", "sealed_webhook_secret"),
        *required(INTEGER, "key_version", "pauses"),
        *required(TIME, "updated_at"),
        *optional(INTEGER, "tested_version"),
        *optional(JSON, "test_error"),
        *required(JSON, "base_models", "job_slots"),
    ],
    "rate_limits": [
        *owned(),
        reference("api_key_id", "api_keys", nullable=True),
        *optional(BIGINT, "max_requests_per_1_minute", "max_bytes_per_1_minute", "max_jobs_per_1_day", "max_open_jobs"),
    ],
    "stored_answers": [
        *row(),
        *required(TEXT, "request_sha256", "content_type", "sealed_body"),
        *required(INTEGER, "status"),
    ],
    "sweeps": [sa.Column("name", TEXT, primary_key=True), *required(TIME, "swept_at")],
}
DATASETS = {
    "datasets": [
        *owned(),
        *due(),
        *optional(TIME, "deleted_at", "expires_at"),
        *optional(TEXT, "name", "error_code", "status_details"),
        *optional(JSON, "labels", "source"),
        *required(TEXT, "filename", "sha256"),
        *required(BIGINT, "bytes"),
        *required(WORD, "purpose", "status"),
        *optional(INTEGER, "examples"),
        *optional(FLOAT, "check_progress"),
    ],
    "dataset_reports": [
        *owned(),
        reference("dataset_id", "datasets"),
        *required(JSON, "report", "problems"),
        *optional(JSON, "tokens_in"),
        sa.UniqueConstraint("dataset_id"),
    ],
    "provider_files": [
        *owned(),
        reference("dataset_id", "datasets"),
        reference("credential_id", "credentials"),
        *due(),
        *required(WORD, "status"),
        *optional(TEXT, "provider_file_id", "provider_upload_id", "error_code", "error_message"),
        *required(JSON, "part_ids"),
        *optional(TIME, "upload_pending_at", "expires_at"),
        sa.UniqueConstraint("dataset_id", "credential_id"),
    ],
    "uploads": [
        *owned(),
        reference("dataset_id", "datasets", nullable=True),
        *due(),
        *required(TEXT, "filename"),
        *required(BIGINT, "bytes"),
        *required(WORD, "purpose", "status"),
        *optional(INTEGER, "file_seconds"),
        *required(TIME, "expires_at"),
        *optional(JSON, "part_ids"),
    ],
    "upload_parts": [
        *owned(),
        reference("upload_id", "uploads"),
        *required(BIGINT, "bytes"),
        *required(TEXT, "sha256"),
    ],
}
JOBS = {
    "job_queues": [
        *row(),
        reference("credential_id", "credentials"),
        *due(),
        *required(TEXT, "model"),
        *required(FLOAT, "virtual_time"),
        *required(BOOLEAN, "creates_one_at_a_time"),
        *optional(INTEGER, "provider_limit"),
        *optional(TIME, "provider_limit_until", "ranked_at"),
        *required(INTEGER, "held"),
        *required(JSON, "freed_at", "ranked_job_ids"),
        sa.UniqueConstraint("credential_id", "model"),
    ],
    "queue_shares": [
        *owned(),
        reference("queue_id", "job_queues"),
        *required(FLOAT, "virtual_time"),
        sa.UniqueConstraint("queue_id", "project_id"),
    ],
    "jobs": [
        *owned(),
        reference("organization_id", "organizations"),
        reference("credential_id", "credentials"),
        reference("training_file", "datasets"),
        reference("validation_file", "datasets", nullable=True),
        reference("queue_id", "job_queues", nullable=True),
        *due(),
        *required(TEXT, "provider", "model"),
        *optional(TEXT, "suffix", "fine_tuned_model", "provider_job_id", "provider_status", "last_provider_event_id"),
        *required(INTEGER, "seed", "priority", "not_found_count", "refusal_count"),
        *optional(JSON, "method", "integrations", "labels", "error", "estimated_cost", "cost"),
        *required(JSON, "hyperparameters", "result_files"),
        *required(WORD, "status"),
        *optional(WORD, "request", "next_action", "approval", "slot"),
        *optional(BIGINT, "trained_tokens"),
        *optional(
            TIME,
            "cleared_at",
            "estimated_finish_at",
            "finished_at",
            "compared_at",
            "estimated_start_at",
            "create_pending_at",
            "changed_at",
            "unanswered_since",
        ),
        *optional(INTEGER, "step", "total_steps", "queue_position"),
        *optional(FLOAT, "check_progress"),
    ],
    "job_events": [
        *owned(),
        reference("job_id", "jobs"),
        *optional(TEXT, "provider_event_id"),
        *required(WORD, "level"),
        *required(TEXT, "type", "message"),
        *optional(JSON, "data"),
        sa.UniqueConstraint("job_id", "provider_event_id"),
    ],
    "checkpoints": [
        *owned(),
        reference("job_id", "jobs"),
        *required(TEXT, "provider_checkpoint_id", "model"),
        *required(INTEGER, "step_number"),
        *required(JSON, "metrics"),
        *optional(TIME, "expired_at"),
        sa.UniqueConstraint("job_id", "provider_checkpoint_id"),
    ],
    "tuned_models": [
        *owned(),
        reference("job_id", "jobs"),
        reference("credential_id", "credentials"),
        *due(),
        *optional(TIME, "deleted_at"),
        *required(TEXT, "name", "base_model"),
        *optional(TEXT, "shutdown_date_notified"),
        sa.UniqueConstraint("credential_id", "name"),
    ],
    "watches": [
        *row(),
        reference("credential_id", "credentials"),
        *due(),
        *required(TIME, "changed_at"),
        *optional(TIME, "listed_at", "next_poll_at"),
        sa.UniqueConstraint("credential_id"),
    ],
}
WEBHOOKS = {
    "webhook_endpoints": [
        *owned(),
        *optional(
            TIME,
            "deleted_at",
            "old_secret_expires_at",
            "failing_since",
            "paused_until",
            "enqueued_at",
            "disabled_at",
            "missed_since",
        ),
        *required(TEXT, "name", "url", "sealed_secret", "signing_secret_hint"),
        *required(JSON, "event_types"),
        *required(BOOLEAN, "full_payloads"),
        *required(TIME, "updated_at"),
        *optional(TEXT, "sealed_old_secret"),
        *required(INTEGER, "consecutive_failures"),
        *optional(WORD, "disabled_reason"),
    ],
    "webhook_events": [
        *owned(),
        *required(TEXT, "type", "object_id"),
        *required(JSON, "data"),
        *required(BOOLEAN, "is_test"),
    ],
    "webhook_deliveries": [
        *owned(),
        reference("event_id", "webhook_events"),
        reference("endpoint_id", "webhook_endpoints"),
        *due(),
        *required(BOOLEAN, "is_full"),
        *required(WORD, "status"),
        *optional(WORD, "failure_reason"),
        *required(INTEGER, "attempts"),
        *optional(TIME, "finished_at"),
        sa.UniqueConstraint("event_id", "endpoint_id"),
    ],
    "webhook_attempts": [
        *owned(),
        reference("delivery_id", "webhook_deliveries"),
        *required(TEXT, "url"),
        *optional(TEXT, "address", "response_body", "error"),
        *required(JSON, "request_headers"),
        *optional(INTEGER, "response_status"),
        *optional(JSON, "response_headers"),
        *required(INTEGER, "duration_ms"),
        *required(TIME, "finished_at"),
    ],
    "webhook_recoveries": [
        *owned(),
        reference("endpoint_id", "webhook_endpoints"),
        *due(),
        *required(TIME, "since", "until"),
        *required(WORD, "status"),
        *optional(TEXT, "last_event_id"),
        *required(INTEGER, "events", "deliveries"),
        *optional(TIME, "finished_at"),
    ],
}
MONEY = {
    "budgets": [
        *owned(),
        *optional(AMOUNT, "spend_limit", "approval_above"),
        *required(JSON, "alert_percentages"),
        sa.UniqueConstraint("project_id"),
    ],
    "spend_alerts": [
        *owned(),
        *required(AMOUNT, "threshold"),
        *required(JSON, "recipients"),
        *optional(TEXT, "subject_prefix"),
    ],
    "threshold_notifications": [
        *owned(),
        *required(DATE, "month"),
        *required(TEXT, "name"),
        *required(AMOUNT, "amount"),
        sa.UniqueConstraint("project_id", "month", "name", "amount"),
    ],
    "notification_recipients": [
        *owned(),
        *required(JSON, "recipients", "event_types"),
        sa.UniqueConstraint("project_id"),
    ],
    "notifications": [
        *owned(),
        *due(),
        *required(TEXT, "type", "recipient"),
        *optional(TEXT, "subject_prefix", "failure_reason"),
        *required(JSON, "data"),
        *required(WORD, "status"),
        *required(INTEGER, "attempts"),
        *optional(TIME, "finished_at"),
    ],
    "ledger_entries": [
        *owned(),
        reference("job_id", "jobs", nullable=True),
        *required(WORD, "kind"),
        *required(AMOUNT, "amount"),
        *required(TEXT, "currency", "line_item", "reason"),
        *required(DATE, "month"),
        *optional(BIGINT, "quantity"),
    ],
}
AUDIT = {
    "audit_logs": [
        *row(),
        *required(TEXT, "type", "actor"),
        *optional(TEXT, "api_key_id", "project_id", "resource_id", "address", "request_id"),
        *required(INTEGER, "count"),
        *required(JSON, "details"),
    ],
}


def upgrade() -> None:
    for table, columns in (PROJECTS | DATASETS | JOBS | WEBHOOKS | MONEY | AUDIT).items():
        op.create_table(table, *columns)
    op.execute(Path(__file__).with_suffix(".sql").read_text())
    op.execute(
        "insert into organizations (id, created_at, name)"
        " values ('org-' || replace(gen_random_uuid()::text, '-', ''), now(), 'Tunery')"
    )


def downgrade() -> None:
    raise CommandError("This is the first revision, nothing is before it: to begin again, migrate an empty database.")
