"""defaults: a program of the version before knows nothing of the columns that later ones added, and goes on writing.

Between `migrate` and its restart it would be refused every row. The models give each value by themselves.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

DEFAULTS = (
    ("jobs", "priority", "1"),
    ("jobs", "misses", "0"),
    ("projects", "weight", "1"),
    ("projects", "model_ids", "'[]'"),
    ("api_keys", "scopes", "'[]'"),
    ("credentials", "job_slots", "'{}'"),
    ("credentials", "pauses", "0"),
    ("credentials", "name", "'default'"),
    ("credentials", "dialect", "'openai'"),
    ("credentials", "key_version", "0"),
    ("credentials", "updated_at", "now()"),
    ("webhook_attempts", "url", "''"),
    ("webhook_attempts", "request_headers", "'{}'"),
    ("webhook_deliveries", "is_full", "false"),
    ("webhook_endpoints", "full_payloads", "false"),
    ("webhook_endpoints", "updated_at", "now()"),
    ("webhook_endpoints", "consecutive_failures", "0"),
    ("webhook_events", "object_id", "''"),
    ("webhook_events", "is_test", "false"),
)


def upgrade() -> None:
    for table, column, value in DEFAULTS:
        op.alter_column(table, column, server_default=sa.text(value))


def downgrade() -> None:
    for table, column, _ in DEFAULTS:
        op.alter_column(table, column, server_default=None)
