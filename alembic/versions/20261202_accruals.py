"""Adds the costs of questions by day, which become one entry of the ledger when the day is over."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "4b7e90d15c3f"
down_revision = "8c51d7e02f9a"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accruals",
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("line_item", sa.String(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_accruals_project_id"),
        sa.PrimaryKeyConstraint("project_id", "day", "line_item", name="pk_accruals"),
    )
    op.create_index("ix_accruals_day", "accruals", ["day"], unique=False)
    op.execute("select tunery_protect('accruals')")
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    op.execute(
        "insert into ledger_entries"
        " (id, created_at, project_id, kind, amount, currency, month, line_item, quantity, reason)"
        " select 'entry_' || left(replace(gen_random_uuid()::text, '-', ''), 26),"
        " (day + 1)::timestamp at time zone 'UTC' - interval '1 microsecond', project_id, 'settle', amount, 'USD',"
        " date_trunc('month', day)::date, line_item, quantity, 'What came on ' || day from accruals"
    )
    op.execute("delete from accruals")
    op.drop_table("accruals")
    op.execute("drop function tunery_add_accruals()")
