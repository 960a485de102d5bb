"""Adds what an account needs besides its address and its key, such as the application by which Azure knows us."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "3f7c2b9e61d4"
down_revision = "e1b74c90d2a6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("credentials", sa.Column("options", JSONB(), server_default=sa.text("'{}'"), nullable=False))


def downgrade() -> None:
    op.drop_column("credentials", "options")
