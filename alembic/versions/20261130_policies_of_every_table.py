"""Switches row-level security on for the tables of projects that had none: stored answers, queues and watches."""

import sqlalchemy as sa
from alembic import op

revision = "b61d5c0e7a42"
down_revision = "4ee2aa2f028e"
branch_labels = None
depends_on = None

OF_THE_SESSION = "nullif(current_setting('tunery.project', true), '')"
# The policies of `credentials` apply to the subquery: a project sees its own and those of the deployment.
BY_CREDENTIAL = "exists (select from credentials where credentials.id = credential_id)"


def upgrade() -> None:
    op.add_column("stored_answers", sa.Column("project_id", sa.String(), server_default=sa.text(OF_THE_SESSION)))
    op.execute("select tunery_protect('stored_answers')")
    # The answers of before name no project. They are found until they expire, so that no request is carried out twice.
    op.execute(
        "do $$ begin execute format('create policy before_projects on stored_answers to tunery_app"
        " using (project_id is null and created_at < %L)', now()); end $$"
    )
    for table in ("job_queues", "watches"):
        op.execute(f"alter table {table} enable row level security")
        op.execute(
            f"create policy project on {table} to tunery_app using ({BY_CREDENTIAL}) with check ({BY_CREDENTIAL})"
        )
    op.execute("revoke insert, update, delete on sweeps from tunery_app")


def downgrade() -> None:
    op.execute("grant insert, update, delete on sweeps to tunery_app")
    for table in ("job_queues", "watches"):
        op.execute(f"drop policy project on {table}")
        op.execute(f"alter table {table} disable row level security")
    op.execute("drop policy before_projects on stored_answers")
    op.execute("drop policy project on stored_answers")
    op.execute("alter table stored_answers disable row level security")
    op.drop_column("stored_answers", "project_id")
