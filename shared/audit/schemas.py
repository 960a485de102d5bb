"""The audit as OpenAI's administration API has it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from shared.audit.models import FAILED_LOGIN, PRUNED, REFUSED, AuditLog
from shared.db.ids import made_at
from shared.db.pages import Listed
from shared.db.times import epoch


class AuditActorKey(BaseModel):
    id: str


class AuditUser(BaseModel):
    id: str | None


class AuditSession(BaseModel):
    """Whoever is no API key: the operator at the command line, or somebody of whom only the address is known."""

    user: AuditUser | None
    ip_address: str | None


class AuditActor(BaseModel):
    type: Literal["api_key", "session"]
    api_key: AuditActorKey | None = None
    session: AuditSession | None = None


class AuditProject(BaseModel):
    id: str
    name: str | None


class AuditLogPublic(Listed):
    """An entry, as OpenAI has it: a field with the name of the type says what the entry is about.

    Beside OpenAI's fields it has the `ip_address`, the `request_id`, the `result`, and a `count`, which is above 1 for
    refusals of a kind that came too often to be kept singly.
    """

    model_config = ConfigDict(extra="allow")

    object: Literal["organization.audit_log"] = "organization.audit_log"
    type: str
    effective_at: int
    actor: AuditActor
    project: AuditProject | None = None
    ip_address: str | None
    request_id: str | None
    result: Literal["done", "refused"]
    count: int

    @classmethod
    def of(cls, row: AuditLog, project_name: str | None) -> "AuditLogPublic":
        about: dict[str, Any] = {row.type: _about(row)}
        return cls(
            id=row.id,
            type=row.type,
            effective_at=epoch(made_at(row.id)),
            actor=_actor(row),
            project=AuditProject(id=row.project_id, name=project_name) if row.project_id else None,
            ip_address=row.address,
            request_id=row.request_id,
            result="refused" if row.type in {REFUSED, FAILED_LOGIN} else "done",
            count=row.count,
            **about,
        )


def _actor(row: AuditLog) -> AuditActor:
    if row.api_key_id is not None:
        return AuditActor(type="api_key", api_key=AuditActorKey(id=row.api_key_id))
    user = AuditUser(id="operator") if row.actor == "operator" else None
    return AuditActor(type="session", session=AuditSession(user=user, ip_address=row.address))


def _about(row: AuditLog) -> dict[str, Any]:
    """Of a change the id, and what each field is now (null for a text, which is not kept) and was before."""
    if row.type in {REFUSED, FAILED_LOGIN, PRUNED}:
        return ({"id": row.resource_id} if row.resource_id else {}) | row.details
    about: dict[str, Any] = {"id": row.resource_id}
    if changed := row.details.get("changed"):
        about["changes_requested"] = {field: values["after"] for field, values in changed.items()}
        about["changed_from"] = {field: values["before"] for field, values in changed.items()}
    return about
