"""Indexes the deliveries that were made later than their events, so that a list by time finds them quickly."""

import sqlalchemy as sa
from alembic import op

revision = "e83b5f1d60a7"
down_revision = "d4c17a90be23"
branch_labels = None
depends_on = None

NAME, TABLE = "ix_webhook_deliveries_made_later", "webhook_deliveries"
MADE_LATER = "substr(id, 4, 7) <> substr(event_id, 5, 7)"


def upgrade() -> None:
    with op.get_context().autocommit_block():  # deliveries go on while the index is made
        op.drop_index(NAME, table_name=TABLE, if_exists=True, postgresql_concurrently=True)  # of a failed attempt
        op.create_index(
            NAME, TABLE, ["endpoint_id", "id"], postgresql_where=sa.text(MADE_LATER), postgresql_concurrently=True
        )


def downgrade() -> None:
    op.drop_index(NAME, table_name=TABLE)
