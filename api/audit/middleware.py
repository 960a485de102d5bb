"""Names the audit event of every changing route, and writes an audit entry for every refused request.

The entry of a change is written by `shared.audit.recording` in the transaction of the change; routes need no code for
it. A refused request commits nothing, so its entry is written here in a transaction of its own.
"""

import json
from collections.abc import Mapping

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.audit.refusals import ID, Refusals
from api.http.middleware import finish_on_shutdown
from shared.audit.actor import Action, Actor, Changes, current_action
from shared.audit.models import FAILED_LOGIN, REFUSED, AuditLog

CHANGING_METHODS = {"POST", "PUT", "PATCH", "DELETE"}
# By the name of the route: the tables that it changes, and for each the event type, OpenAI's where it has one.
CHANGES: Mapping[str, Changes] = {
    "create_file": {"datasets": "file.created"},
    "delete_file": {"datasets": "file.deleted"},
    "create_upload": {"uploads": "upload.created"},
    "complete_upload": {"uploads": "upload.completed"},
    "cancel_upload": {"uploads": "upload.cancelled"},
    "create_dataset": {"datasets": "dataset.created"},
    "create_job": {"jobs": "fine_tuning.job.created"},
    "cancel_job": {"jobs": "fine_tuning.job.cancelled"},
    "cancel_jobs": {"jobs": "fine_tuning.job.cancelled"},
    "pause_job": {"jobs": "fine_tuning.job.paused"},
    "resume_job": {"jobs": "fine_tuning.job.resumed"},
    "delete_model": {"tuned_models": "model.deleted"},
    "create_deployment": {"deployments": "deployment.created"},
    "delete_deployment": {"deployments": "deployment.stopped"},
    "create_webhook_endpoint": {"webhook_endpoints": "webhook_endpoint.created"},
    "update_webhook_endpoint": {"webhook_endpoints": "webhook_endpoint.updated"},
    "delete_webhook_endpoint": {"webhook_endpoints": "webhook_endpoint.deleted"},
    "rotate_webhook_secret": {"webhook_endpoints": "webhook_endpoint.secret_rotated"},
    "redeliver_webhook": {"webhook_deliveries": "webhook_delivery.redelivered"},
    "recover_webhooks": {"webhook_recoveries": "webhook_recovery.created"},
    "create_project": {"projects": "project.created"},
    "update_project": {"projects": "project.updated"},
    "archive_project": {
        "projects": "project.archived",
        "jobs": "fine_tuning.job.cancelled",
        "deployments": "deployment.stopped",
    },
    "update_model_permissions": {"projects": "model_permissions.updated"},
    "delete_model_permissions": {"projects": "model_permissions.deleted"},
    "update_project_rate_limit": {"rate_limits": "rate_limit.updated"},
    "update_spend_limit": {"budgets": "spend_limit.updated"},
    "delete_spend_limit": {"budgets": "spend_limit.deleted"},
    "create_spend_alert": {"spend_alerts": "spend_alert.created"},
    "update_spend_alert": {"spend_alerts": "spend_alert.updated"},
    "delete_spend_alert": {"spend_alerts": "spend_alert.deleted"},
    "update_approval_limit": {"budgets": "approval_limit.updated"},
    "delete_approval_limit": {"budgets": "approval_limit.deleted"},
    "approve_job": {"jobs": "fine_tuning.job.approved"},
    "reject_job": {"jobs": "fine_tuning.job.rejected"},
    "create_adjustment": {"ledger_entries": "ledger.adjusted"},
    "update_email_notifications": {"notification_recipients": "email_notifications.updated"},
    "delete_email_notifications": {"notification_recipients": "email_notifications.deleted"},
    "create_credential": {"credentials": "credential.created"},
    "update_credential": {"credentials": "credential.updated"},
    "delete_credential": {"credentials": "credential.deleted"},
    "create_service_account": {"service_accounts": "service_account.created", "api_keys": "api_key.created"},
    "update_service_account": {"service_accounts": "service_account.updated"},
    "delete_service_account": {"service_accounts": "service_account.deleted", "api_keys": "api_key.deleted"},
    "create_service_account_api_key": {"api_keys": "api_key.created"},
    "create_api_key": {"api_keys": "api_key.created"},
    "update_api_key": {"api_keys": "api_key.updated"},
    "rotate_api_key_secret": {"api_keys": "api_key.secret_rotated"},
    "delete_api_key": {"api_keys": "api_key.deleted"},
    "create_admin_api_key": {"api_keys": "api_key.created"},
    "update_admin_api_key": {"api_keys": "api_key.updated"},
    "rotate_admin_api_key_secret": {"api_keys": "api_key.secret_rotated"},
    "delete_admin_api_key": {"api_keys": "api_key.deleted"},
}
# POST routes without an audit event, and why.
NO_CHANGES: Mapping[str, str] = {
    "choose_project": "only changes the session's cookie",
    "create_chat_completion": "passes a request to the provider and stores nothing",
    "create_completion": "passes a request to the provider and stores nothing",
    "create_response": "passes a request to the provider and stores nothing",
    "create_part": "stores bytes; `complete_upload` records the file that they become",
    "create_sample_event": "sends a sample to the project's event streams",
    "create_sign_in_link": "opens nothing that its key does not open; what is then done is recorded as the key's",
    "download_answers": "returns what the page has sent, and stores nothing",
    "preview_dataset": "shows rows of a file as prompts, and stores nothing",
    "receive_provider_webhook": "only makes a worker poll the job",
    "refuse": "always answers 501",
    "sign_in": "what is then done is recorded as the key's; a refusal is recorded",
    "sign_out": "only drops the session's cookie",
    "test_credential": "asks the provider whether the key works",
    "test_webhook_endpoint": "sends a sample event, which the endpoint's deliveries show",
    "use_sign_in_link": "as `sign_in`",
}


class AuditMiddleware:
    """Sets the actor and the event types of each request for `shared.audit.recording`, and records refusals."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.refusals = Refusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, finish_on_shutdown(self.refusals.close, send))
            return
        current_action.set(Action(lambda: _actor(scope), lambda: _changes(scope)))
        held_start: Message | None = None  # of a refusal: its entry needs the error code, which comes with the body

        async def send_recorded(message: Message) -> None:
            nonlocal held_start
            if message["type"] == "http.response.start" and _is_refusal(scope, message["status"]):
                held_start = message
                return
            if held_start is not None:
                start, held_start = held_start, None
                await self.refusals.record(_entry(scope, start["status"], message.get("body", b"")))
                await send(start)
            await send(message)

        await self.app(scope, receive, send_recorded)


def _changes(scope: Scope) -> Changes:
    if scope["method"] not in CHANGING_METHODS or "endpoint" not in scope:
        return {}
    return CHANGES.get(scope["endpoint"].__name__, {})


def _actor(scope: Scope) -> Actor:
    """Return the actor by the ids that are bound to the request's log lines."""
    known = structlog.contextvars.get_contextvars()
    address = (scope.get("client") or (None,))[0]
    key_id, project_id, request_id = known.get("key_id"), known.get("project_id"), known.get("request_id")
    return Actor("api_key" if key_id else "unknown", key_id, project_id, address, request_id, _resource_id(scope))


def _resource_id(scope: Scope) -> str | None:
    """Return the last id of the path. Text that is not an id is left out: a caller may have put a secret there."""
    named = [each for each in scope.get("path_params", {}).values() if isinstance(each, str)]
    return named[-1] if named and ID.fullmatch(named[-1]) else None


def _is_refusal(scope: Scope, status: int) -> bool:
    """Whether the answer is a failed authentication, or a 4xx to a request for a change."""
    return status == 401 or (400 <= status < 500 and bool(_changes(scope)))


def _entry(scope: Scope, status: int, body: bytes) -> AuditLog:
    actor = _actor(scope)
    attempted = next(iter(_changes(scope).values()), None)
    details = {"status": status, "error_code": _code(body), "attempted": attempted}
    known = {name: value for name, value in details.items() if value is not None}
    return AuditLog.by(actor, FAILED_LOGIN if status == 401 else REFUSED, actor.resource_id, actor.project_id, known)


def _code(body: bytes) -> str | None:
    try:
        return str(json.loads(body)["error"]["code"])
    except (ValueError, LookupError, TypeError):
        return None
