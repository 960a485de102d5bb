"""answers: how often what was asked for was not possible, and how long a job's provider has given no answer."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("refusals", "unheard"):
        op.add_column("jobs", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    for name in ("refusals", "unheard"):
        op.drop_column("jobs", name)
