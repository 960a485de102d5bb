"""What was changed and what was refused: by whom, on which object, from where. Nothing here is ever changed again."""

from typing import Any, ClassVar

from sqlalchemy import Index

from shared.audit.actor import Who
from shared.db.columns import JSONField
from shared.db.tables import Table

REFUSED, FAILED_LOGIN, PRUNED = "change.refused", "login.failed", "audit_log.pruned"
MAY_PRUNE = "tunery.audit_prune"  # the trigger lets the table's owner delete in a transaction that has set it to `on`


class AuditLog(Table, table=True):
    """One change, or one refusal. `count` is how many refusals of a kind it stands for.

    `project_id` is that of the object, or of the key that was refused. Ids are kept as text, so that an entry outlives
    what it is about. `details` has names of fields, numbers and codes, never a text that a caller has sent.
    """

    __tablename__ = "audit_logs"
    __table_args__ = (Index(None, "project_id", "id"), Index(None, "resource_id", "id"))
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
        cls, who: Who, type: str, resource_id: str | None, project_id: str | None, details: dict[str, Any]
    ) -> "AuditLog":
        """What somebody has done, or was refused, to the object of this id."""
        return cls(
            type=type,
            actor=who.actor,
            api_key_id=who.api_key_id,
            project_id=project_id,
            resource_id=resource_id,
            address=who.address,
            request_id=who.request_id,
            details=details,
        )
