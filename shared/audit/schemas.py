"""The audit log in the shape of OpenAI's administration API (`GET /v1/organization/audit_logs`)."""

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
    """An actor without an API key: the operator at the command line, or an unknown caller with an IP address."""

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
    """OpenAI's audit log entry: details are in a field that has the event type as its name.

    Not in OpenAI's: `ip_address`, `request_id`, `result`, and `count`, which is above 1 if one entry stands for many
    refusals of the same kind.
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
        details: dict[str, Any] = {row.type: _details(row)}
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
            **details,
        )


def _actor(row: AuditLog) -> AuditActor:
    if row.api_key_id is not None:
        return AuditActor(type="api_key", api_key=AuditActorKey(id=row.api_key_id))
    user = AuditUser(id="operator") if row.actor == "operator" else None
    return AuditActor(type="session", session=AuditSession(user=user, ip_address=row.address))


def _details(row: AuditLog) -> dict[str, Any]:
    """Return the resource's id and, for a change, each changed field's new and old value (null for text)."""
    if row.type in {REFUSED, FAILED_LOGIN, PRUNED}:
        return ({"id": row.resource_id} if row.resource_id else {}) | row.details
    details: dict[str, Any] = {"id": row.resource_id}
    if changed := row.details.get("changed"):
        details["changes_requested"] = {field: values["after"] for field, values in changed.items()}
        details["changed_from"] = {field: values["before"] for field, values in changed.items()}
    return details
