"""Who uses Tunery, with which key, and which account at the far side works for them."""

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
    """OpenAI's words for what a list of models means."""

    ALLOW_LIST = "allow_list"
    DENY_LIST = "deny_list"


class Organization(Table, table=True):
    """The deployment. There is one."""

    __tablename__ = "organizations"
    id_prefix: ClassVar[str] = "org-"

    name: str


class Project(Table, table=True):
    """A tenant: an internal team. It owns every row but these.

    `weight` (above 0) is its share of the provider's places beside that of others who wait; `max_active_jobs` the most
    jobs of one model that it has at the provider at once, null for what the settings say. `model_mode` says whether
    `model_ids` are the only models that it may use, or those that it may not; null for no such rule.
    """

    __tablename__ = "projects"
    id_prefix: ClassVar[str] = "proj_"
    called: ClassVar[str] = "project"

    organization_id: str = Field(foreign_key="organizations.id")
    name: str
    weight: float = 1.0
    max_active_jobs: int | None = None
    archived_at: datetime | None = TimeField(default=None)
    model_mode: ModelMode | None = EnumField(ModelMode, default=None)
    model_ids: list[str] = JSONField(default_factory=list)


class ServiceAccount(Owned, Deletable, table=True):
    """A program of a project's, and who its keys belong to. `role` is `none` until it has had a key."""

    __tablename__ = "service_accounts"
    id_prefix: ClassVar[str] = "svc_acct_"
    called: ClassVar[str] = "service account"

    name: str
    role: str = "member"


class ApiKey(Table, table=True):
    """A caller's credential. The secret is shown once; its SHA-256 and a hint are kept. Without a project, an admin's.

    `scopes` empty: it may do all that its kind may. After a rotation the secret before it is good until
    `previous_until`. `last_used_at` is up to a minute old.
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
    last_used_at: datetime | None = TimeField(default=None)
    revoked_at: datetime | None = TimeField(default=None)
    expires_at: datetime | None = TimeField(default=None)
    expiry_notified_at: datetime | None = TimeField(default=None)


class Credential(DueTable, Deletable, table=True):
    """An account at a provider: the deployment's own, without a project, of which the settings hold the key; or one of
    a project, whose key is sealed here.

    Its next step asks the provider which base models it has, and how many jobs it takes; `tested_at` is of the last
    answer to the key of `tested_version`, `test_error` what was wrong with it. `key_version` grows with each new key.
    `job_slots` is its own word on how many jobs of a base model it takes at once; empty where it does not say.
    Until `paused_until` nothing is asked of it: it has said, `pauses` times in a row, that there were too many calls.
    `reconciled_at` is when what is there was last compared with what we know.
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
    reconciled_at: datetime | None = TimeField(default=None)
