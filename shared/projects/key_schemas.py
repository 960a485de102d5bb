"""API keys and service accounts in the shape of OpenAI's administration API. A secret is in one response only."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.db.pages import Listed
from shared.db.times import epoch, utc_now
from shared.projects.models import ApiKey, ServiceAccount
from shared.projects.networks import Networks
from shared.projects.schemas import Name
from shared.projects.scopes import AdminScope, ProjectScope

Lifetime = Annotated[int | None, Field(ge=1, le=10 * 365 * 86400, description="Seconds; null: never expires")]
Secret = Annotated[str, Field(repr=False)]


def expiry_after(lifetime: int | None) -> datetime | None:
    return utc_now() + timedelta(seconds=lifetime) if lifetime is not None else None


def _epoch(time: datetime | None) -> int | None:
    return epoch(time) if time else None


class AdminKeyCreate(BaseModel):
    """`scopes` is not in OpenAI's API; an empty list means all. A key cannot grant more than it may do itself."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    expires_in_seconds: Lifetime = None
    scopes: list[AdminScope] = []
    allowed_networks: Networks = []


class AdminKeyUpdate(BaseModel):
    """An empty list of `allowed_networks` lets the key be used from everywhere. OpenAI has no such endpoint."""

    model_config = ConfigDict(extra="forbid")

    allowed_networks: Networks


class ApiKeyCreate(BaseModel):
    """A new key for a project or a service account. An empty list of `scopes` means all project scopes."""

    model_config = ConfigDict(extra="forbid")

    name: Name = "key"
    expires_in_seconds: Lifetime = None
    scopes: list[ProjectScope] = []
    allowed_networks: Networks = []


class ApiKeyUpdate(BaseModel):
    """Fields that are left out keep their value; an empty list removes all restrictions."""

    model_config = ConfigDict(extra="forbid")

    expires_in_seconds: Lifetime = None
    scopes: list[ProjectScope] | None = None
    allowed_networks: Networks | None = None


class KeyRotate(BaseModel):
    """`overlap_seconds`: how long the old secret stays valid beside the new one, up to 30 days; by default one day."""

    model_config = ConfigDict(extra="forbid")

    overlap_seconds: Annotated[int, Field(ge=0, le=30 * 86400)] = 86400

    @property
    def overlap(self) -> timedelta:
        return timedelta(seconds=self.overlap_seconds)


class ServiceAccountCreate(BaseModel):
    """A new service account with an API key, or without one if `create_service_account_only` is set."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    create_service_account_only: bool | None = None
    expires_in_seconds: Lifetime = None


class ServiceAccountUpdate(BaseModel):
    """The only role is `member`: a service account cannot administer its project, which takes an admin key."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    role: Literal["member"] | None = None


class KeyOwner(BaseModel):
    """The service account of a key; nulls for a key of the project itself."""

    type: Literal["service_account"] | None = None
    service_account: "ServiceAccountPublic | None" = None

    @classmethod
    def of(cls, account: ServiceAccount) -> "KeyOwner":
        return cls(type="service_account", service_account=ServiceAccountPublic.of(account))


class KeyFacts(Listed):
    """Fields of every key. After a rotation, the previous secret works until `previous_valid_until` (Unix seconds).

    `allowed_networks`: from where it may be used, as CIDR ranges; an empty list means from everywhere.
    """

    name: str
    redacted_value: str
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None
    scopes: list[str]
    allowed_networks: list[str]
    previous_valid_until: int | None


def _facts(row: ApiKey) -> KeyFacts:
    return KeyFacts(
        id=row.id,
        name=row.name,
        redacted_value=row.hint,
        created_at=epoch(row.created_at),
        expires_at=_epoch(row.expires_at),
        revoked_at=_epoch(row.revoked_at),
        last_used_at=_epoch(row.last_used_at),
        scopes=row.scopes,
        allowed_networks=row.allowed_networks,
        previous_valid_until=_epoch(row.previous_until),
    )


class ApiKeyPublic(KeyFacts):
    """OpenAI's project API key, with its `scopes`; an empty list means all project scopes."""

    object: Literal["organization.project.api_key"] = "organization.project.api_key"
    project_id: str
    owner: KeyOwner
    owner_project_access: Literal["active"] = "active"

    @classmethod
    def of(cls, row: ApiKey, account: ServiceAccount | None) -> "ApiKeyPublic":
        owner = KeyOwner.of(account) if account else KeyOwner()
        return cls(**_facts(row).model_dump(), project_id=row.project_id or "", owner=owner)


class ApiKeyWithSecret(ApiKeyPublic):
    """A key right after it was created or rotated; `value` is its secret and is never shown again."""

    value: Secret


class ApiKeyDeleted(BaseModel):
    id: str
    object: Literal["organization.project.api_key.deleted"] = "organization.project.api_key.deleted"
    deleted: Literal[True] = True


class AdminKeyOwner(BaseModel):
    """Always nulls: Tunery has no users, so admin keys belong to the organization. The audit log says who made one."""

    type: None = None
    id: None = None


class AdminKeyPublic(KeyFacts):
    """OpenAI's admin API key, with its `scopes`; an empty list means all admin scopes."""

    object: Literal["organization.admin_api_key"] = "organization.admin_api_key"
    owner: AdminKeyOwner = AdminKeyOwner()

    @classmethod
    def of(cls, row: ApiKey) -> "AdminKeyPublic":
        return cls(**_facts(row).model_dump())


class AdminKeyWithSecret(AdminKeyPublic):
    """A new or rotated admin key; `value` is its secret and is never shown again."""

    value: Secret


class AdminKeyDeleted(BaseModel):
    id: str
    object: Literal["organization.admin_api_key.deleted"] = "organization.admin_api_key.deleted"
    deleted: Literal[True] = True


class AccountKeyWithSecret(BaseModel):
    """A service account's new key; `value` is its secret and is never shown again."""

    id: str
    object: Literal["organization.project.service_account.api_key"] = "organization.project.service_account.api_key"
    name: str
    created_at: int
    expires_at: int | None
    scopes: list[str]
    value: Secret

    @classmethod
    def of(cls, row: ApiKey, secret: str) -> "AccountKeyWithSecret":
        facts = _facts(row).model_dump(include={"id", "name", "created_at", "expires_at", "scopes"})
        return cls(**facts, value=secret)


class ServiceAccountPublic(Listed):
    """A program of the project. `role` is `none` until it gets a key."""

    object: Literal["organization.project.service_account"] = "organization.project.service_account"
    name: str
    role: Literal["member", "none"]
    created_at: int

    @classmethod
    def of(cls, row: ServiceAccount) -> "ServiceAccountPublic":
        facts = row.model_dump(include={"id", "name", "role"})
        return cls(**facts, created_at=epoch(row.created_at))


class ServiceAccountWithKey(ServiceAccountPublic):
    """A new service account; `api_key` is null if none was requested."""

    api_key: AccountKeyWithSecret | None


class ServiceAccountDeleted(BaseModel):
    id: str
    object: Literal["organization.project.service_account.deleted"] = "organization.project.service_account.deleted"
    deleted: Literal[True] = True
