"""`python -m cli.local.seed FILE [SECONDS]`: brings the database up to date and makes what a newcomer needs first.

That is a project with its key, an admin key, and a webhook endpoint when TUNERY_WEBHOOK_URL names where to send. They
are written to the file, which only its owner may read, and kept as long as the database knows them.
It is a process of its own, because these imports take a second, in which the other servers start.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from sqlmodel import Session

from cli import secret_files
from cli.admin.deployment import migrate_when_reachable
from cli.explain import sentence_for
from cli.local.accounts import keep_accounts
from shared.audit.actor import acting_as_operator
from shared.database import transaction
from shared.db.owned import get_owned
from shared.errors import ServiceError
from shared.projects import callers
from shared.projects import service as projects
from shared.webhooks import service as webhooks
from shared.webhooks.models import WebhookEndpoint
from shared.webhooks.schemas import WebhookEndpointCreate

PATIENCE = 30.0  # seconds until the database must answer, unless the command says another number
CHANGES = {"projects": "project.created", "api_keys": "api_key.created", "credentials": "credential.created"}
EVENTS = ["fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled"]


def keep_project(session: Session, kept: dict[str, Any]) -> None:
    """Creates a project with a key, unless the kept key is good: this may be another database than before."""
    try:
        kept["project_id"] = callers.authenticate(session, kept.get("api_key", "")).project_id
    except ServiceError:
        project = projects.create_project(session, "first")
        _, kept["api_key"] = projects.create_api_key(session, project.id, "first")
        kept["project_id"] = project.id
        kept.pop("endpoint", None)
        kept.pop("accounts", None)


def keep_admin_key(session: Session, kept: dict[str, Any]) -> None:
    """Creates an admin key, unless the kept one is good: somebody may have revoked it."""
    try:
        callers.identify(session, kept.get("admin_key", ""))
    except ServiceError:
        _, kept["admin_key"] = projects.create_api_key(session, None, "first")


def keep_endpoint(session: Session, kept: dict[str, Any], url: str | None) -> None:
    """One endpoint, which follows the address, and is made anew when somebody has deleted it."""
    endpoint = kept.get("endpoint")
    if endpoint and not is_there(session, kept["project_id"], endpoint["id"]):
        del kept["endpoint"]
    elif endpoint and endpoint["url"] != url:
        webhooks.delete_endpoint(session, kept["project_id"], kept.pop("endpoint")["id"])
    if url and "endpoint" not in kept:
        new = WebhookEndpointCreate.model_validate({"name": "tunery up", "url": url, "event_types": EVENTS})
        made, secret = webhooks.create_endpoint(session, kept["project_id"], new)
        kept["endpoint"] = {"id": made.id, "url": url, "secret": secret}


def is_there(session: Session, project_id: str, endpoint_id: str) -> bool:
    try:
        get_owned(session, WebhookEndpoint, endpoint_id, project_id)
    except ServiceError:
        return False
    return True


def main(file: Path, patience: float = PATIENCE) -> None:
    migrate_when_reachable(patience)
    kept = secret_files.read_json(file)
    with acting_as_operator(CHANGES), transaction() as session:
        keep_project(session, kept)
        keep_admin_key(session, kept)
        keep_endpoint(session, kept, os.environ.get("TUNERY_WEBHOOK_URL"))
        keep_accounts(session, kept, json.loads(os.environ.get("FIRST_ACCOUNTS") or "[]"))
    secret_files.write_json(file, kept)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else PATIENCE)
    except Exception as error:
        sys.exit(sentence_for(error))
