"""Tables of the organization, its projects, their API keys, and the credentials at providers."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import Index, text
from sqlmodel import Field

from shared.broker.queue import Task
from shared.db.columns import EnumField, JSONField, TimeField
from shared.db.tables import Deletable, DueTable, Owned, Table
from shared.db.times import utc_now
from shared.providers.dialects import Dialect


class ModelMode(StrEnum):
    """Whether a project's `model_ids` are the only models it may use, or those it may not use (OpenAI's values)."""

    ALLOW_LIST = "allow_list"
    DENY_LIST = "deny_list"


class Organization(Table, table=True):
    """The deployment; the table has exactly one row."""

    __tablename__ = "organizations"
    id_prefix: ClassVar[str] = "org-"

    name: str


class Project(Table, table=True):
    """A tenant, such as an internal team. Every row of its data names it.

    `weight` (above 0): its share of the provider's slots, relative to the other projects that wait for one.
    `max_active_jobs`: most jobs of one base model that it may have at the provider at once; null: as in the settings.
    `events_read_at`: when it last read its webhook events, at most an hour late.
    `quotas`: those that an admin has set for it, by name; the settings have the others.
    `deploy_on_success`: models of its jobs are deployed when they have succeeded, where the provider needs that.
    `default_provider`: whose accounts go before its others for a base model that several have; null: the newest.
    `model_mode`: how `model_ids` limit the models that it may use; null: no limit.
    """

    __tablename__ = "projects"
    id_prefix: ClassVar[str] = "proj_"
    called: ClassVar[str] = "project"

    organization_id: str = Field(foreign_key="organizations.id")
    name: str
    weight: float = 1.0
    max_active_jobs: int | None = None
    archived_at: datetime | None = TimeField(default=None)
    events_read_at: datetime | None = TimeField(default=None)
    model_mode: ModelMode | None = EnumField(ModelMode, default=None)
    model_ids: list[str] = JSONField(default_factory=list)
    deploy_on_success: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    default_provider: str | None = None
    quotas: dict[str, int] = JSONField(default_factory=dict, sa_column_kwargs={"server_default": text("'{}'")})


class ServiceAccount(Owned, Deletable, table=True):
    """A program of a project, which owns API keys. `role` is `none` until it gets a key, then `member`."""

    __tablename__ = "service_accounts"
    id_prefix: ClassVar[str] = "svc_acct_"
    called: ClassVar[str] = "service account"

    name: str
    role: str = "member"


class ApiKey(Table, table=True):
    """A key with which a caller authenticates; without `project_id` an admin key. Only the secret's SHA-256 is stored.

    `scopes`: empty means everything that this kind of key may do. `hint`: the parts of the secret that may be shown.
    `allowed_networks`: from where it may be used, as CIDR ranges; empty means from everywhere.
    `previous_sha256`: the secret before the last rotation, valid until `previous_until`.
    `last_used_at`: at most a minute late. `expiry_notified_at`: when the project was warned of `expires_at`.
    """

    __tablename__ = "api_keys"
    id_prefix: ClassVar[str] = "key_"
    called: ClassVar[str] = "API key"

    project_id: str | None = Field(default=None, foreign_key="projects.id", index=True)
    service_account_id: str | None = Field(default=None, foreign_key="service_accounts.id", index=True)
    name: str
    secret_sha256: str = Field(unique=True)
    hint: str
    previous_sha256: str | None = Field(default=None, unique=True)
    previous_until: datetime | None = TimeField(default=None)
    scopes: list[str] = JSONField(default_factory=list)
    allowed_networks: list[str] = JSONField(default_factory=list, sa_column_kwargs={"server_default": text("'[]'")})
    last_used_at: datetime | None = TimeField(default=None)
    revoked_at: datetime | None = TimeField(default=None)
    expires_at: datetime | None = TimeField(default=None)
    expiry_notified_at: datetime | None = TimeField(default=None)


class Credential(DueTable, Deletable, table=True):
    """An account at a provider. Without `project_id` it is the deployment's own, whose key is in the settings.

    Its step asks the provider for its base models and job slots.
    `options`: what this kind of provider needs besides, as `shared.providers.account_settings` says. None is secret.
    `key_version`: counts the keys that it has had. `tested_at`, `tested_version`, `test_error`: when the provider last
    accepted or refused a key, which version that was, and its error.
    `job_slots`: how many jobs of each base model the provider says it runs at once; empty if it does not say.
    `paused_until`: no calls before this time, after `pauses` consecutive answers of 429.
    `deploy_on_success`: as of the project, for models that are made here.
    `reconciled_at`: when the account's jobs and files were last compared with our rows.
    """

    __tablename__ = "credentials"
    __table_args__ = (
        Index("uq_credentials_of_the_deployment", "base_url", unique=True, postgresql_where=text("project_id IS NULL")),
    )
    id_prefix: ClassVar[str] = "cred_"
    called: ClassVar[str] = "credential"
    task: ClassVar[Task] = Task.REFRESH_CREDENTIAL

    project_id: str | None = Field(default=None, foreign_key="projects.id", index=True)
    name: str = "default"
    provider: str
    base_url: str
    dialect: Dialect = EnumField(Dialect, default=Dialect.OPENAI)
    options: dict[str, str] = JSONField(default_factory=dict, sa_column_kwargs={"server_default": text("'{}'")})
    sealed_api_key: str | None = None
    key_hint: str | None = None
    key_version: int = 0
    sealed_webhook_secret: str | None = None
    updated_at: datetime = TimeField(default_factory=utc_now)
    tested_at: datetime | None = TimeField(default=None)
    tested_version: int | None = None
    test_error: dict[str, Any] | None = JSONField(default=None)
    base_models: list[dict[str, Any]] = JSONField(default_factory=list)
    job_slots: dict[str, int] = JSONField(default_factory=dict)
    paused_until: datetime | None = TimeField(default=None)
    pauses: int = 0
    deploy_on_success: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    reconciled_at: datetime | None = TimeField(default=None)
