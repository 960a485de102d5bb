"""Webhook endpoints: whether they answer, their settings, and what can be sent to them."""

from typing import Any

from starlette.responses import Response

from api.auth.deps import After, CallerDep
from api.auth.scopes import scope
from api.dashboard.forms import Form, FormDep, check_not_rotated, chosen, seconds, shown_again
from api.dashboard.sent_once import check_not_made
from api.dashboard.snippets import calls
from api.dashboard.view import View, ViewDep, redirect
from api.http.pages import DASHBOARD
from api.http.router import Router
from api.webhooks import test_event
from shared.db.owned import get_owned, list_owned
from shared.db.pages import Page
from shared.errors import Invalid
from shared.webhooks import deliveries
from shared.webhooks import service as webhooks
from shared.webhooks.delivery_schemas import RecoveryCreate, WebhookRecoveryPublic
from shared.webhooks.event_filter import EventFilter
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookEndpoint
from shared.webhooks.schemas import WebhookEndpointCreate, WebhookEndpointPublic, WebhookEndpointUpdate
from shared.webhooks.success import success_of

router = Router(prefix=f"{DASHBOARD}/webhooks", include_in_schema=False, dependencies=[scope("webhooks")])
ONE = "/endpoints/{webhook_endpoint_id}"
PER_PAGE = 20
NEWEST = 5


@router.get("")
def list_webhook_endpoints(view: ViewDep, after: After = None) -> Response:
    """List the endpoints with the share of their deliveries that succeed."""
    project_id = view.caller.project_id
    rows = list_owned(view.session, WebhookEndpoint, project_id, after=after, limit=PER_PAGE)
    shown = Page.of([WebhookEndpointPublic.of(row) for row in rows], PER_PAGE)
    return view.page(
        "webhooks/list.html",
        endpoints=shown,
        success=success_of(view.session, project_id, [each.id for each in shown.data]),
        snippets=calls(view.request, "GET", "/webhook_endpoints", "print(client.webhooks.list())"),
    )


@router.get("/new")
def new_webhook_endpoint(view: ViewDep) -> Response:
    """Ask for a new endpoint."""
    usual = [EventType.JOB_SUCCEEDED, EventType.JOB_FAILED, EventType.JOB_CANCELLED]
    return _form_page(view, Form.of(event_types=usual))


@router.post("")
def create_webhook_endpoint(view: ViewDep, form: FormDep) -> Response:
    """Create an endpoint, and show its secret."""
    with shown_again(form, lambda form: _form_page(view, form)):
        new = WebhookEndpointCreate.model_validate(_values(form))
        check_not_made(view.session, view.caller.key_id, form)
        endpoint, secret = webhooks.create_endpoint(view.session, view.caller.project_id, new)
    return view.page("webhooks/secret.html", endpoint=WebhookEndpointPublic.of(endpoint), secret=secret)


@router.get(ONE)
def retrieve_webhook_endpoint(view: ViewDep, webhook_endpoint_id: str) -> Response:
    """Show an endpoint, why it is held back, and its newest deliveries."""
    return _endpoint_page(view, webhook_endpoint_id, Form())


@router.get(ONE + "/edit")
def edit_webhook_endpoint(view: ViewDep, webhook_endpoint_id: str) -> Response:
    """Ask what to change."""
    endpoint = _endpoint(view, webhook_endpoint_id)
    return _form_page(view, Form.of(**endpoint.model_dump(include=set(WebhookEndpointCreate.model_fields))), endpoint)


@router.post(ONE)
def update_webhook_endpoint(view: ViewDep, webhook_endpoint_id: str, form: FormDep) -> Response:
    """Change an endpoint; the buttons «Disable» and «Enable» send `enabled` alone."""
    endpoint = _endpoint(view, webhook_endpoint_id)
    with shown_again(form, lambda form: _form_page(view, form, endpoint)):
        values = {"enabled": form.text("enabled") == "true"} if "enabled" in form.values else _values(form)
        new = WebhookEndpointUpdate.model_validate(values)
        webhooks.update_endpoint(view.session, view.caller.project_id, webhook_endpoint_id, new)
    return redirect(f"/webhooks/endpoints/{webhook_endpoint_id}")


@router.post(ONE + "/delete")
def delete_webhook_endpoint(view: ViewDep, webhook_endpoint_id: str) -> Response:
    """Delete an endpoint."""
    webhooks.delete_endpoint(view.session, view.caller.project_id, webhook_endpoint_id)
    return redirect("/webhooks")


@router.post(ONE + "/rotate_secret")
def rotate_webhook_secret(view: ViewDep, webhook_endpoint_id: str, form: FormDep) -> Response:
    """Make a new secret, and show it."""
    endpoint = get_owned(view.session, WebhookEndpoint, webhook_endpoint_id, view.caller.project_id, lock=True)
    check_not_rotated(form, endpoint.signing_secret_hint)
    keep_old = form.has("keep_old_secret_active_for_24_hours")
    rotated = webhooks.rotate_secret(view.session, view.caller.project_id, webhook_endpoint_id, keep_old)
    return view.page("webhooks/secret.html", endpoint=WebhookEndpointPublic.of(rotated[0]), secret=rotated[1])


@router.post(ONE + "/test")
async def test_webhook_endpoint(caller: CallerDep, webhook_endpoint_id: str, form: FormDep) -> Response:
    """Send a sample event, and show its delivery: with the answer, or with the reason why there was none.

    It works without the session of a view, which would hold a connection until the receiver answers.
    """
    type = chosen(EventType, form.text("event_type"), "event_type")
    try:
        await test_event.send_and_wait(caller.project_id, webhook_endpoint_id, type or EventType.JOB_SUCCEEDED)
    except Invalid as error:
        if error.code != "webhook_test_failed":
            raise
    return redirect(f"/webhooks/endpoints/{webhook_endpoint_id}/deliveries")


@router.post(ONE + "/recover")
def recover_webhooks(view: ViewDep, webhook_endpoint_id: str, form: FormDep) -> Response:
    """Deliver again what the endpoint has not answered with 2xx."""
    with shown_again(form, lambda form: _endpoint_page(view, webhook_endpoint_id, form, status=400)):
        times = {name: seconds(form.text(name), name) for name in ("since", "until")}
        asked = RecoveryCreate.model_validate(times)
        found = deliveries.recover(view.session, view.caller.project_id, webhook_endpoint_id, asked)
        view.session.flush()
    return redirect(f"/webhooks/endpoints/{webhook_endpoint_id}/recoveries/{found.id}")


@router.get(ONE + "/recoveries/{recovery_id}")
def retrieve_webhook_recovery(view: ViewDep, webhook_endpoint_id: str, recovery_id: str) -> Response:
    """Show how far a recovery is."""
    endpoint = _endpoint(view, webhook_endpoint_id)
    found = deliveries.get_recovery(view.session, view.caller.project_id, webhook_endpoint_id, recovery_id)
    path = f"/webhook_endpoints/{endpoint.id}/recoveries/{found.id}"
    return view.page(
        "webhooks/recovery.html",
        endpoint=endpoint,
        recovery=WebhookRecoveryPublic.of(found),
        snippets=calls(view.request, "GET", path, f'print(client.get("{path}", cast_to=dict))'),
    )


def _endpoint(view: View, endpoint_id: str) -> WebhookEndpointPublic:
    return WebhookEndpointPublic.of(get_owned(view.session, WebhookEndpoint, endpoint_id, view.caller.project_id))


def _values(form: Form) -> dict[str, Any]:
    return {
        "name": form.text("name"),
        "url": form.text("url"),
        "event_types": form.all("event_types"),
        "full_payloads": form.has("full_payloads"),
    }


def _form_page(view: View, form: Form, endpoint: WebhookEndpointPublic | None = None) -> Response:
    body = {"name": "Jobs", "url": "https://example.com/hook", "event_types": [EventType.JOB_SUCCEEDED.value]}
    python = f"print(client.webhooks.create(**{body}))"
    return view.page(
        "webhooks/form.html",
        status=400 if form.errors else 200,
        form=form,
        endpoint=endpoint,
        event_types=list(EventType),
        snippets=calls(view.request, "POST", "/webhook_endpoints", python, body=body),
    )


def _endpoint_page(view: View, endpoint_id: str, form: Form, status: int = 200) -> Response:
    endpoint, project_id = _endpoint(view, endpoint_id), view.caller.project_id
    newest = deliveries.list_deliveries(
        view.session, project_id, endpoint_id, EventFilter(), None, after=None, limit=NEWEST
    )
    path = f"/webhook_endpoints/{endpoint.id}"
    return view.page(
        "webhooks/endpoint.html",
        status=status,
        endpoint=endpoint,
        form=form,
        success=success_of(view.session, project_id, [endpoint_id])[endpoint_id],
        deliveries=newest[:NEWEST],
        event_types=[(each, each) for each in EventType],
        snippets=calls(view.request, "GET", path, f'print(client.webhooks.retrieve("{endpoint.id}"))'),
    )
