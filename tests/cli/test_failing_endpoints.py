"""`tunery webhooks list` and `deliveries` of an endpoint that fails: its state, and what is held back until when."""

from datetime import timedelta

from cli.columns import at
from shared.db.times import epoch, utc_now
from shared.webhooks.models import WebhookDelivery, WebhookEndpoint
from tests.cli.terminal import Tunery
from tests.servers import closed_port
from tests.worker.support import change, endpoint_of, ids, write_event
from tests.world import Person, row, step


def failing(person: Person) -> str:
    endpoint_id: str = endpoint_of(person, f"http://127.0.0.1:{closed_port()}/")["id"]
    write_event(person)
    step(WebhookDelivery, ids(WebhookDelivery)[0])
    return endpoint_id


def test_an_endpoint_that_fails_is_listed_as_failing(at_alices: Person, tunery: Tunery) -> None:
    since = row(WebhookEndpoint, failing(at_alices)).failing_since
    [_, line] = tunery("webhooks", "list").out.splitlines()
    assert f"  failing (since {at(epoch(since)):%d %b %H:%M:%S})  " in line


def test_a_pause_is_shown_with_its_end(at_alices: Person, tunery: Tunery) -> None:
    endpoint_id, until = failing(at_alices), utc_now() + timedelta(days=1)
    change(WebhookEndpoint, endpoint_id, paused_until=until)
    shown = f"{at(epoch(until)):%d %b %H:%M:%S}"
    [_, line] = tunery("webhooks", "list").out.splitlines()
    assert f", paused until {shown})" in line
    [_, line] = tunery("webhooks", "deliveries").out.splitlines()
    assert f"  pending (held until {shown}: the endpoint fails)  " in line


def test_a_disabled_endpoint_is_not_listed_as_failing(at_alices: Person, tunery: Tunery) -> None:
    at_alices.http.post(f"/webhook_endpoints/{failing(at_alices)}", json={"enabled": False}).raise_for_status()
    [_, line] = tunery("webhooks", "list").out.splitlines()
    assert "  disabled (requested)  " in line
    assert "failing (" not in line
