"""What every changing route is called in the audit, and what becomes of those that are refused.

The entry of a change is written by `shared.audit.recording`, in the transaction of the change; nothing stands in the
routes. A refusal has no transaction that is committed, so it is written here, in one of its own.
"""

import json
import re
from collections.abc import Mapping

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.audit.refusals import Refusals
from api.http.middleware import before_the_end
from shared.audit.actor import Act, Changes, Who, acting
from shared.audit.models import FAILED_LOGIN, REFUSED, AuditLog

CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
# By the name of the route: the table whose row it is about, and OpenAI's word for the change, or one in its style.
CHANGES: Mapping[str, Changes] = {
    "create_file": {"datasets": "file.created"},
    "delete_file": {"datasets": "file.deleted"},
    "create_upload": {"uploads": "upload.created"},
    "complete_upload": {"uploads": "upload.completed"},
    "cancel_upload": {"uploads": "upload.cancelled"},
    "create_dataset": {"datasets": "dataset.created"},
    "create_job": {"jobs": "fine_tuning.job.created"},
    "cancel_job": {"jobs": "fine_tuning.job.cancelled"},
    "pause_job": {"jobs": "fine_tuning.job.paused"},
    "resume_job": {"jobs": "fine_tuning.job.resumed"},
    "delete_model": {"tuned_models": "model.deleted"},
    "create_webhook_endpoint": {"webhook_endpoints": "webhook_endpoint.created"},
    "update_webhook_endpoint": {"webhook_endpoints": "webhook_endpoint.updated"},
    "delete_webhook_endpoint": {"webhook_endpoints": "webhook_endpoint.deleted"},
    "rotate_webhook_secret": {"webhook_endpoints": "webhook_endpoint.secret_rotated"},
    "redeliver_webhook": {"webhook_deliveries": "webhook_delivery.redelivered"},
    "recover_webhooks": {"webhook_recoveries": "webhook_recovery.created"},
    "create_project": {"projects": "project.created"},
    "update_project": {"projects": "project.updated"},
    "archive_project": {"projects": "project.archived", "jobs": "fine_tuning.job.cancelled"},
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
    "update_api_key": {"api_keys": "api_key.updated"},
    "rotate_api_key_secret": {"api_keys": "api_key.secret_rotated"},
    "delete_api_key": {"api_keys": "api_key.deleted"},
    "create_admin_api_key": {"api_keys": "api_key.created"},
    "rotate_admin_api_key_secret": {"api_keys": "api_key.secret_rotated"},
    "delete_admin_api_key": {"api_keys": "api_key.deleted"},
}
# POSTs that are no change, and why.
NO_CHANGES: Mapping[str, str] = {
    "create_chat_completion": "asks the provider, and changes nothing",
    "create_part": "carries bytes; the file that they become is said when the upload is completed",
    "create_sample_event": "shows a sample to those who follow the stream",
    "receive_provider_webhook": "the provider's own word, which only lets a worker look at a job",
    "refuse": "says that there is no such thing",
    "test_credential": "asks the provider whether the key works",
    "test_webhook_endpoint": "sends a sample to an endpoint, which its log of deliveries shows",
}
_ID = re.compile(r"(?!sk-)(?:[a-z_]+[-_][0-9a-z]{8,40}|rl-[a-z]+_[0-9a-z]{8,40})")


class AuditMiddleware:
    """Lets the audit know who acts and in which route, and writes what is refused."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.refusals = Refusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, before_the_end(self.refusals.close, send))
            return
        acting.set(Act(lambda: _who(scope), lambda: _changes(scope)))
        refused: Message | None = None

        async def send_written(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and _is_refusal(scope, message["status"]):
                refused = message
                return
            if refused is not None:
                start, refused = refused, None
                await self.refusals.note(_entry(scope, start["status"], message.get("body", b"")))
                await send(start)
            await send(message)

        await self.app(scope, receive, send_written)


def _changes(scope: Scope) -> Changes:
    if scope["method"] not in CHANGING or "endpoint" not in scope:
        return {}
    return CHANGES.get(scope["endpoint"].__name__, {})


def _who(scope: Scope) -> Who:
    """As it stands on each line of the log."""
    known = structlog.contextvars.get_contextvars()
    address = (scope.get("client") or (None,))[0]
    key_id, project_id, request_id = known.get("key_id"), known.get("project_id"), known.get("request_id")
    return Who("api_key" if key_id else "unknown", key_id, project_id, address, request_id, _named(scope))


def _named(scope: Scope) -> str | None:
    """What is no id may be anything, a secret too."""
    named = [each for each in scope.get("path_params", {}).values() if isinstance(each, str)]
    return named[-1] if named and _ID.fullmatch(named[-1]) else None


def _is_refusal(scope: Scope, status: int) -> bool:
    """A key that is not good, whatever it was for; and every change that was not made, since we or the caller could
    not or must not."""
    return status == 401 or (400 <= status < 500 and bool(_changes(scope)))


def _entry(scope: Scope, status: int, body: bytes) -> AuditLog:
    who = _who(scope)
    attempted = next(iter(_changes(scope).values()), None)
    details = {"status": status, "error_code": _code(body), "attempted": attempted}
    known = {name: value for name, value in details.items() if value is not None}
    return AuditLog.by(who, FAILED_LOGIN if status == 401 else REFUSED, who.named, who.project_id, known)


def _code(body: bytes) -> str | None:
    try:
        return str(json.loads(body)["error"]["code"])
    except (ValueError, LookupError, TypeError):
        return None
