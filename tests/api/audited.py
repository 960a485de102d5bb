"""Reads the audit log, and sends a POST that must succeed."""

import json
from typing import Any

from sqlmodel import select

from shared.audit.models import AuditLog
from shared.database import transaction
from tests.api.wire import send
from tests.world import Person


def entries(**where: Any) -> list[AuditLog]:
    """The oldest first."""
    query = select(AuditLog).where(*(getattr(AuditLog, name) == value for name, value in where.items()))
    with transaction() as session:
        return list(session.exec(query.order_by(AuditLog.id)))


def post(person: Person, path: str, body: dict[str, Any]) -> Any:
    """What was answered."""
    answer = send(person, "POST", path, json.dumps(body).encode())
    assert answer.status == 200, answer.text
    return answer.json
