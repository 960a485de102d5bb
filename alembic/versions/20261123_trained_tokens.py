"""trained tokens: a large job trains on more than two billion."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("jobs", "trained_tokens", type_=sa.BigInteger())


def downgrade() -> None:
    op.alter_column("jobs", "trained_tokens", type_=sa.Integer())
