"""Chains the audit log: each entry carries the hash of the one before it. The functions are in the `.sql` beside it."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "d4c17a90be23"
down_revision = "5a0c1b7d92e4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_chains",
        sa.Column("chain", sa.String(), primary_key=True),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("pruned", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("pruned_hash", sa.LargeBinary(), nullable=False, server_default=""),
    )
    op.add_column("audit_logs", sa.Column("chain_position", sa.BigInteger(), nullable=True))
    op.add_column("audit_logs", sa.Column("previous_hash", sa.LargeBinary(), nullable=True))
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    op.execute("drop trigger chained on audit_logs")
    op.execute("drop function tunery_chain_audit_entry(), tunery_audit_hash(audit_logs)")
    op.drop_column("audit_logs", "previous_hash")
    op.drop_column("audit_logs", "chain_position")
    op.drop_table("audit_chains")
