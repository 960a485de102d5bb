"""Adds the default provider of a project, and `deploy_on_success` of an account."""

import sqlalchemy as sa
from alembic import op

revision = "f27a60b5c813"
down_revision = "3f7c2b9e61d4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("projects", sa.Column("default_provider", sa.String(), nullable=True))
    op.add_column(
        "credentials", sa.Column("deploy_on_success", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("credentials", "deploy_on_success")
    op.drop_column("projects", "default_provider")
