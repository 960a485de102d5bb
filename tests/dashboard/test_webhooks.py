"""The pages of webhooks: forms that keep what was typed, secrets that are shown once, nothing of another project."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any

import httpx2
import pytest

from shared.database import transaction
from shared.projects import service as projects
from shared.webhooks.models import WebhookDelivery
from tests.dashboard.administration import HOSTILE, endpoint
from tests.dashboard.signed_in import a_browser, form_id_of, rotate, sign_in
from tests.servers import Receiver
from tests.worker.support import ids as row_ids
from tests.world import Person, step, work

NEW = {"name": "Jobs", "url": "https://example.com/hook", "event_types": "fine_tuning.job.succeeded"}


@pytest.fixture
def browser(alice: Person) -> Iterator[httpx2.Client]:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        yield browser


def listed(person: Person) -> list[dict[str, Any]]:
    return list(person.http.get("/webhook_endpoints").json()["data"])


def test_an_endpoint_is_made_and_its_secret_is_shown_once(alice: Person, browser: httpx2.Client) -> None:
    answer = browser.post("/webhooks", data=NEW)
    assert answer.status_code == 200
    assert "whsec_" in answer.text
    secret = answer.text.split('id="secret">')[1].split("<")[0]
    made = listed(alice)[0]
    assert (made["name"], made["url"], made["event_types"]) == ("Jobs", NEW["url"], [NEW["event_types"]])
    page = browser.get(f"/webhooks/endpoints/{made['id']}")
    assert made["signing_secret_hint"] in page.text
    assert secret not in page.text
    assert browser.get(f"/webhooks/endpoints/{made['id']}/edit").status_code == 200, "no box is checked"


def test_a_form_that_is_sent_again_makes_no_second_endpoint(alice: Person, browser: httpx2.Client) -> None:
    typed = {**NEW, "form_id": form_id_of(browser.get("/webhooks/new").text)}
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: browser.post("/webhooks", data=typed), range(3)))
    assert sorted(each.status_code for each in answers)[0] == 200
    assert ["whsec_" in each.text for each in answers].count(True) == 1
    again = browser.post("/webhooks", data=typed)
    assert (again.status_code, "has been sent already" in again.text) == (400, True)
    assert len(listed(alice)) == 1


def test_a_form_that_is_refused_keeps_what_was_typed(alice: Person, browser: httpx2.Client) -> None:
    answer = browser.post("/webhooks", data={"name": HOSTILE, "url": "http://127.0.0.1/", "full_payloads": "on"})
    assert answer.status_code == 400
    assert HOSTILE.strip() in unescape(answer.text)
    assert "<script>alert" not in answer.text
    assert 'id="event_types-error"' in answer.text
    assert listed(alice) == []
    answer = browser.post("/webhooks", data={**NEW, "url": "ftp://example.com"})
    assert answer.status_code == 400
    assert 'id="url-error"' in answer.text


def test_an_endpoint_is_edited_disabled_and_deleted(alice: Person, browser: httpx2.Client) -> None:
    page = f"/webhooks/endpoints/{endpoint(alice)}"
    assert browser.get(f"{page}/edit").status_code == 200
    assert browser.post(page, data={**NEW, "name": "Renamed"}).status_code == 303
    assert browser.post(page, data={"enabled": "false"}).status_code == 303
    found = listed(alice)[0]
    assert (found["name"], found["enabled"], found["full_payloads"]) == ("Renamed", False, False)
    assert "Somebody has disabled it" in browser.get(page).text
    assert browser.post(f"{page}/delete").status_code == 303
    assert listed(alice) == []
    assert browser.get(page).status_code == 404


def test_a_secret_is_rotated(alice: Person, browser: httpx2.Client) -> None:
    hook = endpoint(alice)
    before = listed(alice)[0]["signing_secret_hint"]
    answer = rotate(browser, f"/webhooks/endpoints/{hook}")
    assert "whsec_" in answer.text
    assert listed(alice)[0]["signing_secret_hint"] != before


def test_a_delivery_shows_its_attempt_and_is_sent_again(alice: Person, browser: httpx2.Client) -> None:
    hook = endpoint(alice)
    alice.upload()
    work(2)
    row = alice.http.get(f"/webhook_endpoints/{hook}/deliveries").json()["data"][0]
    page = f"/webhooks/endpoints/{hook}/deliveries/{row['id']}"
    shown = browser.get(page)
    assert "webhook-signature" in shown.text
    assert row["attempts"][0]["error"] in unescape(shown.text)
    assert row["event_type"] in shown.text
    assert browser.post(f"{page}/redeliver").headers["location"] == f"/dashboard{page}"
    for query, count in (("status=pending", 1), ("status=succeeded", 0), ("type=dataset.processed&object=", 1)):
        listing = browser.get(f"/webhooks/endpoints/{hook}/deliveries?{query}&since=&until=")
        assert listing.text.count(f'{page}"') == count, query
    assert browser.get(f"/webhooks/endpoints/{hook}/deliveries?since=yesterday").status_code == 400
    event = browser.get(f"/webhooks/events/{row['event_id']}")
    assert row["object_id"] in event.text


def while_working(post: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post)
        while not answer.done():
            for delivery_id in row_ids(WebhookDelivery):
                step(WebhookDelivery, delivery_id)
        return answer.result()


def test_a_sample_is_sent_and_its_answer_or_error_is_shown(
    alice: Person, browser: httpx2.Client, receiver: Receiver
) -> None:
    receiver.body = b"<b>thanks</b>"
    for url, shown in ((receiver.url, "<code>200</code>"), ("https://127.0.0.1:9/hook", "refused")):
        browser.post("/webhooks", data={**NEW, "url": url})
        page = f"/webhooks/endpoints/{listed(alice)[0]['id']}"
        answer = while_working(lambda: browser.post(f"{page}/test", data={"event_type": "dataset.failed"}))  # noqa: B023
        assert answer.headers["location"] == f"/dashboard{page}/deliveries"
        deliveries = browser.get(f"{page}/deliveries").text
        assert "dataset.failed" in deliveries
        assert shown in deliveries
    [sent] = receiver.events
    assert sent["type"] == "dataset.failed"


def test_missed_events_are_recovered_and_a_wrong_time_is_told(alice: Person, browser: httpx2.Client) -> None:
    page = f"/webhooks/endpoints/{endpoint(alice)}"
    answer = browser.post(f"{page}/recover", data={"since": "2026-01-01T00:00", "until": ""})
    assert answer.status_code == 303
    assert browser.get(answer.headers["location"].removeprefix("/dashboard")).status_code == 200
    answer = browser.post(f"{page}/recover", data={"since": "2200-01-01T00:00"})
    assert answer.status_code == 400
    assert "2200-01-01T00:00" in answer.text
    assert 'id="since-error"' in answer.text


def test_another_projects_webhooks_are_not_found(alice: Person, bob: Person) -> None:
    hook = endpoint(alice)
    alice.upload()
    work(1)
    row = alice.http.get(f"/webhook_endpoints/{hook}/deliveries").json()["data"][0]
    page = f"/webhooks/endpoints/{hook}"
    with a_browser(bob.base_url) as browser:
        sign_in(browser, bob.api_key)
        for each in ("", "/edit", "/deliveries", f"/deliveries/{row['id']}"):
            assert browser.get(page + each).status_code == 404, each
        for each in ("", "/delete", "/rotate_secret", "/test", "/recover", f"/deliveries/{row['id']}/redeliver"):
            assert browser.post(page + each, data={**NEW, "since": "2026-01-01T00:00"}).status_code == 404, each
        assert browser.get(f"/webhooks/events/{row['event_id']}").status_code == 404
        assert hook not in browser.get("/webhooks").text


def test_a_key_that_may_only_read_changes_nothing(alice: Person) -> None:
    with transaction() as session:
        _, secret = projects.create_api_key(session, alice.project_id, "reader", scopes=["webhooks:read"])
    with a_browser(alice.base_url) as browser:
        sign_in(browser, secret)
        assert browser.get("/webhooks").status_code == 200
        answer = browser.post("/webhooks", data=NEW)
        assert answer.status_code == 403
        assert "webhooks:write" in answer.text
