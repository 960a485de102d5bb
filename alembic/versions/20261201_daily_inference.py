"""Adds what asking models has used, by project, model and day."""

import sqlalchemy as sa
from alembic import op

revision = "c5d20e7f9a14"
down_revision = "c3f7a91e5d28"
branch_labels = None
depends_on = None

COUNTS = ("requests", "input_tokens", "cached_tokens", "output_tokens")


def upgrade() -> None:
    op.create_table(
        "daily_inference",
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTS),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_daily_inference_project_id"),
        sa.PrimaryKeyConstraint("project_id", "day", "model", name="pk_daily_inference"),
    )
    op.create_index("ix_daily_inference_day", "daily_inference", ["day"], unique=False)
    op.execute("select tunery_protect('daily_inference')")


def downgrade() -> None:
    op.drop_table("daily_inference")
