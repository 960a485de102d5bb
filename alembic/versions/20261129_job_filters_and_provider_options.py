"""Adds indexes for the filters of lists of jobs and files, and `jobs.provider_options`."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "39e60f81f5a0"
down_revision = "20261129"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        op.f("ix_datasets_project_id_datasets_filename"), "datasets", ["project_id", "filename"], unique=False
    )
    op.add_column(
        "jobs", sa.Column("provider_options", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.create_index(op.f("ix_jobs_project_id_jobs_model_jobs_id"), "jobs", ["project_id", "model", "id"], unique=False)
    op.create_index(
        op.f("ix_jobs_project_id_jobs_status_jobs_id"), "jobs", ["project_id", "status", "id"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_jobs_project_id_jobs_status_jobs_id"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_project_id_jobs_model_jobs_id"), table_name="jobs")
    op.drop_column("jobs", "provider_options")
    op.drop_index(op.f("ix_datasets_project_id_datasets_filename"), table_name="datasets")
