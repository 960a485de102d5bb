"""What a project and an operator administer, for pages to show: with names that are hard to show."""

from shared.budgets import alerts, limits
from shared.budgets.schemas import SpendAlertUpdate
from shared.database import transaction
from shared.projects import credentials
from shared.projects import service as projects
from shared.projects.credential_schemas import CredentialCreate
from shared.settings import get_settings
from tests.world import Person

HOSTILE = "<script>alert('name')</script> \N{RIGHT-TO-LEFT OVERRIDE}\N{HEBREW LETTER ALEF} \N{FIRE} " + "long" * 40


def endpoint(person: Person, name: str = HOSTILE) -> str:
    """Make a webhook endpoint whose receiver cannot be reached."""
    types = person.http.get("/webhook_event_types").json()["data"]
    new = {"name": name, "url": "https://127.0.0.1:9/hook", "event_types": types, "full_payloads": True}
    return str(person.http.post("/webhook_endpoints", json=new).raise_for_status().json()["id"])


def administered(project_id: str) -> dict[str, str]:
    """Make what only an operator makes: keys with limits, an account, a budget."""
    new = CredentialCreate.model_validate(
        {"name": HOSTILE[:60], "base_url": get_settings().provider.base_url, "api_key": "sk-not-good"}
    )
    with transaction() as session:
        key, _ = projects.create_api_key(
            session, project_id, HOSTILE[:60], scopes=["jobs:read"], allowed_networks=["203.0.113.0/24"]
        )
        admin_key, _ = projects.create_api_key(session, None, HOSTILE[:60], scopes=["admin:projects:read"])
        limits.set_spend_limit(session, project_id, 25_000, [50, 100])
        channel = {"type": "email", "recipients": ["finance@example.com", f"{'x' * 60}@example.com"]}
        new_alert = {"currency": "USD", "interval": "month", "threshold_amount": 9950, "notification_channel": channel}
        alert = alerts.create(session, project_id, SpendAlertUpdate.model_validate(new_alert))
        account = credentials.create(session, project_id, new)
        return {"key": key.id, "admin_key": admin_key.id, "alert": alert.id, "account": account.id}


def ids_of(person: Person, hook: str) -> dict[str, str]:
    """Return the ids of what was made, with those of the endpoint's deliveries."""
    deliveries = person.http.get(f"/webhook_endpoints/{hook}/deliveries").json()["data"]
    since = {"since": deliveries[-1]["created_at"] - 60}
    recovery = person.http.post(f"/webhook_endpoints/{hook}/recover", json=since).json()["id"]
    return {
        "endpoint": hook,
        "delivery": deliveries[-1]["id"],
        "event": deliveries[-1]["event_id"],
        "recovery": recovery,
        "project": person.project_id,
        **administered(person.project_id),
    }
