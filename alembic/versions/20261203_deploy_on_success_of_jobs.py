"""Adds whether the model of a job is deployed when the job has succeeded."""

import sqlalchemy as sa
from alembic import op

revision = "b7e2460fa95d"
down_revision = "5f0b93d7ce18"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("deploy_on_success", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "deploy_on_success")
