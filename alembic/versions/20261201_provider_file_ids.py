"""Indexes the ids that files have at their providers: a delete and the daily reconciliation look for them."""

from alembic import op

revision = "c3f7a91e5d28"
down_revision = "8b1e5f7a2c93"
branch_labels = None
depends_on = None

NAME, TABLE = "ix_provider_files_provider_file_id", "provider_files"


def upgrade() -> None:
    with op.get_context().autocommit_block():  # uploads go on while the index is made
        op.drop_index(NAME, table_name=TABLE, if_exists=True, postgresql_concurrently=True)  # of a failed attempt
        op.create_index(NAME, TABLE, ["provider_file_id"], postgresql_concurrently=True)


def downgrade() -> None:
    op.drop_index(NAME, table_name=TABLE)
