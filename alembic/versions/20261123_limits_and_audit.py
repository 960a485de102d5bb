"""limits and audit."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# No role may change an entry. To remove some, the owner of the table says so in the transaction: `tunery audit prune`.
REFUSE = """
create function refuse_audit_change() returns trigger language plpgsql as $$
begin
    if tg_op <> 'UPDATE' and current_setting('tunery.audit_prune', true) = 'on'
        and current_user = (select pg_get_userbyid(relowner) from pg_class where oid = tg_relid)
    then
        return old;
    end if;
    raise exception 'audit_logs is append-only: entries are removed by «tunery audit prune» alone'
        using errcode = 'insufficient_privilege';
end $$
"""


def upgrade() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("api_key_id", sa.String(), nullable=True),
        sa.Column("max_requests_per_1_minute", sa.BigInteger(), nullable=True),
        sa.Column("max_bytes_per_1_minute", sa.BigInteger(), nullable=True),
        sa.Column("max_jobs_per_1_day", sa.BigInteger(), nullable=True),
        sa.Column("max_open_jobs", sa.BigInteger(), nullable=True),
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
    op.create_table(
        "audit_logs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("api_key_id", sa.String(), nullable=True),
        sa.Column("project_id", sa.String(), nullable=True),
        sa.Column("resource_id", sa.String(), nullable=True),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("details", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_logs")),
    )
    op.create_index("ix_audit_logs_project_id_audit_logs_id", "audit_logs", ["project_id", "id"], unique=False)
    op.create_index("ix_audit_logs_resource_id_audit_logs_id", "audit_logs", ["resource_id", "id"], unique=False)
    op.execute("select tunery_protect('audit_logs')")
    op.execute("revoke update, delete on audit_logs from tunery_app")
    op.execute(REFUSE)
    op.execute(
        "create trigger append_only before update or delete on audit_logs"
        " for each row execute function refuse_audit_change()"
    )
    op.execute(
        "create trigger append_only_as_a_whole before truncate on audit_logs"
        " for each statement execute function refuse_audit_change()"
    )


def downgrade() -> None:
    op.drop_table("audit_logs")
    op.execute("drop function refuse_audit_change()")
    op.drop_index("ix_jobs_open", table_name="jobs")
    op.drop_table("rate_limits")
