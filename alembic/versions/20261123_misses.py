"""misses: looks to which the provider did not know the job are counted by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("misses", sa.Integer(), nullable=False, server_default="0"))
    op.alter_column("jobs", "misses", server_default=None)


def downgrade() -> None:
    op.drop_column("jobs", "misses")
