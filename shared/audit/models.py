"""The audit log: who changed or tried to change what, and from where. A trigger refuses to change or delete entries."""

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from shared.audit.actor import Actor
from shared.db.columns import JSONField
from shared.db.tables import Table

REFUSED, FAILED_LOGIN, PRUNED = "change.refused", "login.failed", "audit_log.pruned"
MAY_PRUNE = "tunery.audit_prune"  # where this variable is `on`, the trigger lets the table's owner delete entries


class AuditLog(Table, table=True):
    """One change or refusal; `count` is above 1 for refusals that were counted together.

    `previous_hash` is the SHA-256 of the entry at `chain_position` - 1 of the same chain (`shared.audit.chain`).
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
    # Both are set by a trigger, whatever is inserted.
    chain_position: int | None = Field(default=None, sa_type=BigInteger)
    previous_hash: bytes | None = None

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


class AuditChain(SQLModel, table=True):
    """The head of a chain of entries: those of one project, or, with an empty `chain`, those without a project.

    `entries` counts all that were ever written, `hash` is the SHA-256 of the newest. The first `pruned` were removed;
    `pruned_hash` is that of the last of them. A trigger writes the heads; no role but the owner may.
    """

    __tablename__ = "audit_chains"

    chain: str = Field(primary_key=True)
    entries: int = Field(sa_type=BigInteger)
    hash: bytes
    pruned: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    pruned_hash: bytes = Field(default=b"", sa_column_kwargs={"server_default": ""})
