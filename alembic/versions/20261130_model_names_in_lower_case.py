"""Indexes of models' names in lower case, in which providers may read them."""

import sqlalchemy as sa
from alembic import op

revision = "5a0c1b7d92e4"
down_revision = "c27f90d1a5e8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_checkpoints_lower_model", "checkpoints", [sa.text("lower(model)")])
    op.create_index("ix_tuned_models_lower_name", "tuned_models", [sa.text("lower(name)")])


def downgrade() -> None:
    op.drop_index("ix_tuned_models_lower_name", table_name="tuned_models")
    op.drop_index("ix_checkpoints_lower_model", table_name="checkpoints")
