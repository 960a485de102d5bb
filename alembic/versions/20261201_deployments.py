"""Adds deployments, their hours in the ledger, and projects that deploy on success."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "15fb424168f0"
down_revision = "8e41d7c3b09f"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deployments",
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("enqueued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retries", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("credential_id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("provider_checkpoint_id", sa.String(), nullable=True),
        sa.Column("base_model", sa.String(), nullable=False),
        sa.Column("provider_options", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("idle_seconds", sa.Integer(), nullable=True),
        sa.Column(
            "status",
            sa.String(length=32),
            nullable=False,
        ),
        sa.Column(
            "ends_as",
            sa.String(length=32),
            nullable=True,
        ),
        sa.Column("reason", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("chat_model", sa.String(), nullable=True),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_chat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("price_per_hour", sa.Numeric(), nullable=True),
        sa.Column("billed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cost", sa.Numeric(), nullable=False),
        sa.Column("create_pending_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider_deployment_id", sa.String(), nullable=True),
        sa.Column("provider_status", sa.String(), nullable=True),
        sa.Column("looks_ready", sa.Integer(), nullable=False),
        sa.Column("not_found_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["credential_id"], ["credentials.id"], name="fk_deployments_credential_id"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_deployments_job_id"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_deployments_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_deployments"),
    )
    op.create_index("ix_deployments_due_at", "deployments", ["due_at"], unique=False)
    op.create_index("ix_deployments_job_id", "deployments", ["job_id"], unique=False)
    op.create_index(
        "ix_deployments_open",
        "deployments",
        ["credential_id"],
        unique=False,
        postgresql_where=sa.text("status NOT IN ('stopped', 'failed')"),
    )
    op.create_index("ix_deployments_project_id_deployments_id", "deployments", ["project_id", "id"], unique=False)
    op.create_index(
        "uq_deployments_wanted",
        "deployments",
        ["project_id", "model"],
        unique=True,
        postgresql_where=sa.text("status IN ('requested', 'starting', 'ready')"),
    )
    op.execute("select tunery_protect('deployments')")
    op.add_column("ledger_entries", sa.Column("deployment_id", sa.String(), nullable=True))
    op.create_index("ix_ledger_entries_deployment_id", "ledger_entries", ["deployment_id"], unique=False)
    op.create_foreign_key("fk_ledger_entries_deployment_id", "ledger_entries", "deployments", ["deployment_id"], ["id"])
    op.add_column(
        "projects", sa.Column("deploy_on_success", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("projects", "deploy_on_success")
    op.drop_constraint("fk_ledger_entries_deployment_id", "ledger_entries", type_="foreignkey")
    op.drop_index("ix_ledger_entries_deployment_id", table_name="ledger_entries")
    op.drop_column("ledger_entries", "deployment_id")
    op.drop_index(
        "uq_deployments_wanted",
        table_name="deployments",
        postgresql_where=sa.text("status IN ('requested', 'starting', 'ready')"),
    )
    op.drop_index("ix_deployments_project_id_deployments_id", table_name="deployments")
    op.drop_index(
        "ix_deployments_open", table_name="deployments", postgresql_where=sa.text("status NOT IN ('stopped', 'failed')")
    )
    op.drop_index("ix_deployments_job_id", table_name="deployments")
    op.drop_index("ix_deployments_due_at", table_name="deployments")
    op.drop_table("deployments")
