"""The audit log: who changed or tried to change what, and from where. A trigger refuses to change or delete entries."""

from typing import Any, ClassVar

from sqlalchemy import Index, text

from shared.audit.actor import Actor
from shared.db.columns import JSONField
from shared.db.tables import Table

REFUSED, FAILED_LOGIN, PRUNED = "change.refused", "login.failed", "audit_log.pruned"
MAY_PRUNE = "tunery.audit_prune"  # where this variable is `on`, the trigger lets the table's owner delete entries


class AuditLog(Table, table=True):
    """One change or refusal; `count` is above 1 for refusals that were counted together.

    `project_id` is the project of the resource, or of the API key that was refused. Ids are plain text without foreign
    keys: an entry outlives its resource. `details` has field names, numbers and codes, never text that a caller sent.
    """

    __tablename__ = "audit_logs"
    __table_args__ = (
        Index(None, "project_id", "id"),
        Index(None, "resource_id", "id"),
        Index(None, "type", "id"),
        Index(None, "api_key_id", "id"),
        Index("ix_audit_logs_by_operator", "id", postgresql_where=text("actor = 'operator'")),
    )
    id_prefix: ClassVar[str] = "audit_log-"
    called: ClassVar[str] = "audit log"

    type: str
    actor: str
    api_key_id: str | None = None
    project_id: str | None = None
    resource_id: str | None = None
    address: str | None = None
    request_id: str | None = None
    count: int = 1
    details: dict[str, Any] = JSONField(default_factory=dict)

    @classmethod
    def by(
        cls, actor: Actor, type: str, resource_id: str | None, project_id: str | None, details: dict[str, Any]
    ) -> "AuditLog":
        return cls(
            type=type,
            actor=actor.kind,
            api_key_id=actor.api_key_id,
            project_id=project_id,
            resource_id=resource_id,
            address=actor.address,
            request_id=actor.request_id,
            details=details,
        )
