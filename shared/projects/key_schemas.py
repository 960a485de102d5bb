"""Keys and service accounts as OpenAI's administration API has them. A secret is in one answer only."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.db.pages import Listed
from shared.db.times import epoch, utc_now
from shared.projects.models import ApiKey, ServiceAccount
from shared.projects.schemas import Name
from shared.projects.scopes import AdminScope, ProjectScope

Lifetime = Annotated[int | None, Field(ge=1, le=10 * 365 * 86400, description="Seconds; null: it does not expire")]
Secret = Annotated[str, Field(repr=False)]


def end_of(lifetime: int | None) -> datetime | None:
    return utc_now() + timedelta(seconds=lifetime) if lifetime is not None else None


def _epoch(time: datetime | None) -> int | None:
    return epoch(time) if time else None


class AdminKeyCreate(BaseModel):
    """`scopes` are ours: none are all. No key makes one that may do more than itself."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    expires_in_seconds: Lifetime = None
    scopes: list[AdminScope] = []


class AccountKeyCreate(BaseModel):
    """A key of a service account. No scopes are all of a project's."""

    model_config = ConfigDict(extra="forbid")

    name: Name = "key"
    expires_in_seconds: Lifetime = None
    scopes: list[ProjectScope] = []


class ApiKeyUpdate(BaseModel):
    """What is left out stays; an empty list of scopes takes all restrictions away."""

    model_config = ConfigDict(extra="forbid")

    expires_in_seconds: Lifetime = None
    scopes: list[ProjectScope] | None = None


class KeyRotate(BaseModel):
    """For how long, in seconds, the old secret is good beside the new one: up to 30 days, a day if nothing is said."""

    model_config = ConfigDict(extra="forbid")

    overlap_seconds: Annotated[int, Field(ge=0, le=30 * 86400)] = 86400

    @property
    def overlap(self) -> timedelta:
        return timedelta(seconds=self.overlap_seconds)


class ServiceAccountCreate(BaseModel):
    """Without `create_service_account_only` it comes with a key, whose secret is shown this once."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    create_service_account_only: bool | None = None
    expires_in_seconds: Lifetime = None


class ServiceAccountUpdate(BaseModel):
    """A service account cannot own a project: administration takes an admin key."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    role: Literal["member"] | None = None


class KeyOwner(BaseModel):
    """The service account that a key belongs to; nulls for a key that the command line has made."""

    type: Literal["service_account"] | None = None
    service_account: "ServiceAccountPublic | None" = None

    @classmethod
    def of(cls, account: ServiceAccount) -> "KeyOwner":
        return cls(type="service_account", service_account=ServiceAccountPublic.of(account))


class KeyFacts(Listed):
    """What all keys show. `redacted_value` is of the newest secret; `previous_valid_until` of the one before it."""

    name: str
    redacted_value: str
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    scopes: list[str]
    previous_valid_until: int | None


def _facts(row: ApiKey) -> KeyFacts:
    return KeyFacts(
        id=row.id,
        name=row.name,
        redacted_value=row.hint,
        created_at=epoch(row.created_at),
        expires_at=_epoch(row.expires_at),
        last_used_at=_epoch(row.last_used_at),
        scopes=row.scopes,
        previous_valid_until=_epoch(row.previous_until),
    )


class ApiKeyPublic(KeyFacts):
    """OpenAI's key object, and beside it its scopes: none are all of a project's. The secret is never shown again."""

    object: Literal["organization.project.api_key"] = "organization.project.api_key"
    owner: KeyOwner
    owner_project_access: Literal["active"] = "active"

    @classmethod
    def of(cls, row: ApiKey, account: ServiceAccount | None) -> "ApiKeyPublic":
        return cls(**_facts(row).model_dump(), owner=KeyOwner.of(account) if account else KeyOwner())


class ApiKeyWithSecret(ApiKeyPublic):
    """What a rotation answers, once."""

    value: Secret


class ApiKeyDeleted(BaseModel):
    id: str
    object: Literal["organization.project.api_key.deleted"] = "organization.project.api_key.deleted"
    deleted: Literal[True] = True


class AdminKeyOwner(BaseModel):
    """There are no users here: keys belong to the organization. Who made which is in the audit log."""

    type: None = None
    id: None = None


class AdminKeyPublic(KeyFacts):
    """OpenAI's admin key object, and beside it its scopes: none are all. The secret is never shown again."""

    object: Literal["organization.admin_api_key"] = "organization.admin_api_key"
    owner: AdminKeyOwner = AdminKeyOwner()

    @classmethod
    def of(cls, row: ApiKey) -> "AdminKeyPublic":
        return cls(**_facts(row).model_dump())


class AdminKeyWithSecret(AdminKeyPublic):
    """What create and a rotation answer, once."""

    value: Secret


class AdminKeyDeleted(BaseModel):
    id: str
    object: Literal["organization.admin_api_key.deleted"] = "organization.admin_api_key.deleted"
    deleted: Literal[True] = True


class AccountKeyWithSecret(BaseModel):
    """A service account's new key, with its secret, once."""

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
    """A program of the project's. `role` is `none` until it has had a key."""

    object: Literal["organization.project.service_account"] = "organization.project.service_account"
    name: str
    role: Literal["member", "none"]
    created_at: int

    @classmethod
    def of(cls, row: ServiceAccount) -> "ServiceAccountPublic":
        facts = row.model_dump(include={"id", "name", "role"})
        return cls(**facts, created_at=epoch(row.created_at))


class ServiceAccountWithKey(ServiceAccountPublic):
    """What create answers; the secret of its key is shown this once."""

    api_key: AccountKeyWithSecret | None


class ServiceAccountDeleted(BaseModel):
    id: str
    object: Literal["organization.project.service_account.deleted"] = "organization.project.service_account.deleted"
    deleted: Literal[True] = True
