"""credentials of projects."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("credentials", sa.Column("project_id", sa.String(), nullable=True))
    op.add_column("credentials", sa.Column("name", sa.String(), nullable=False, server_default="default"))
    op.alter_column("credentials", "name", server_default=None)
    dialect = sa.Enum("openai", "azure", name="dialect", native_enum=False, length=32)
    op.add_column("credentials", sa.Column("dialect", dialect, nullable=False, server_default="openai"))
    op.alter_column("credentials", "dialect", server_default=None)
    op.add_column("credentials", sa.Column("sealed_api_key", sa.String(), nullable=True))
    op.add_column("credentials", sa.Column("key_hint", sa.String(), nullable=True))
    op.add_column("credentials", sa.Column("key_version", sa.Integer(), nullable=False, server_default="0"))
    op.alter_column("credentials", "key_version", server_default=None)
    op.add_column("credentials", sa.Column("sealed_webhook_secret", sa.String(), nullable=True))
    op.add_column("credentials", sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE credentials SET updated_at = created_at")
    op.alter_column("credentials", "updated_at", nullable=False)
    op.add_column("credentials", sa.Column("tested_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("credentials", sa.Column("tested_version", sa.Integer(), nullable=True))
    error = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())
    op.add_column("credentials", sa.Column("test_error", error, nullable=True))
    op.add_column("credentials", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint(op.f("uq_credentials_base_url"), "credentials", type_="unique")
    op.create_index(
        "uq_credentials_of_the_deployment",
        "credentials",
        ["base_url"],
        unique=True,
        postgresql_where=sa.text("project_id IS NULL"),
    )
    op.create_index(op.f("ix_credentials_project_id"), "credentials", ["project_id"], unique=False)
    op.create_foreign_key(op.f("fk_credentials_project_id"), "credentials", "projects", ["project_id"], ["id"])
    op.execute("select tunery_protect('credentials', shared => true)")


def downgrade() -> None:
    """Fails while projects have credentials of their own at one provider: they would not be told apart any more."""
    for policy in ("project", "shared"):
        op.execute(f"drop policy {policy} on credentials")
    op.execute("alter table credentials disable row level security")
    op.drop_constraint(op.f("fk_credentials_project_id"), "credentials", type_="foreignkey")
    op.drop_index(op.f("ix_credentials_project_id"), table_name="credentials")
    op.drop_index(
        "uq_credentials_of_the_deployment", table_name="credentials", postgresql_where=sa.text("project_id IS NULL")
    )
    op.create_unique_constraint(op.f("uq_credentials_base_url"), "credentials", ["base_url"])
    for column in (
        "deleted_at",
        "test_error",
        "tested_version",
        "tested_at",
        "updated_at",
        "sealed_webhook_secret",
        "key_version",
        "key_hint",
        "sealed_api_key",
        "dialect",
        "name",
        "project_id",
    ):
        op.drop_column("credentials", column)
