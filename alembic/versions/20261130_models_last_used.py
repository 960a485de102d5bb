"""When a tuned model was last asked."""

import sqlalchemy as sa
from alembic import op

revision = "75b6e192dd4e"
down_revision = "2f6d0c94b1e8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tuned_models", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("tuned_models", "last_used_at")
