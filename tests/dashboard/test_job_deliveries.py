"""The page of a job shows who was told of it, to keys that may read webhooks."""

from playwright.sync_api import expect

from api.dashboard.job_facts import DELIVERIES
from shared.webhooks.models import WebhookDelivery
from tests.api.training import move
from tests.dashboard.administration import endpoint
from tests.dashboard.signed_in import a_browser, key_of, sign_in
from tests.dashboard.visitor import Visitor
from tests.worker.support import change, ids, write_event
from tests.world import Person, Sandbox


def page_of(person: Person, key: str, path: str) -> str:
    with a_browser(person.base_url) as browser:
        sign_in(browser, key)
        return str(browser.get(path).text)


def test_only_a_key_that_may_read_webhooks_sees_deliveries(alice: Person, bob: Person) -> None:
    hook, other_hook = endpoint(alice), endpoint(bob)
    job = alice.create_job()
    sees = page_of(alice, alice.api_key, f"/jobs/{job}")
    assert (f"/webhooks/endpoints/{hook}/deliveries/" in sees, "Redeliver<" in sees) == (True, True)
    assert other_hook not in sees
    reads = page_of(alice, key_of(alice, scopes=["jobs:read", "webhooks:read"])[1], f"/jobs/{job}")
    assert (hook in reads, "Redeliver<" in reads) == (True, False)
    only_jobs = key_of(alice, scopes=["jobs:read"])[1]
    assert hook not in page_of(alice, only_jobs, f"/jobs/{job}")
    assert "webhooks:read" in page_of(alice, only_jobs, f"/jobs/{job}/deliveries")


def test_what_is_not_shown_is_said_with_a_link(alice: Person) -> None:
    hook = endpoint(alice, name="hook")
    job = alice.create_job()
    link = f'<a href="/dashboard/webhooks/endpoints/{hook}/deliveries?object={job}"><bdi>hook</bdi></a>'
    for _ in range(DELIVERIES - 1):
        write_event(alice, id=job)
    shown = page_of(alice, alice.api_key, f"/jobs/{job}")
    assert (shown.count("<bdi>hook</bdi></td>"), link in shown) == (DELIVERIES, False)
    write_event(alice, id=job)
    shown = page_of(alice, alice.api_key, f"/jobs/{job}/deliveries")
    assert (shown.count("<bdi>hook</bdi></td>"), shown.count(link)) == (DELIVERIES, 1)


def test_the_last_stage_tells_when_all_were_told(alice: Person, alices: Visitor, sandbox: Sandbox) -> None:
    endpoint(alice)
    job = alice.create_job()
    move(alice, sandbox, job, "succeeded")
    alices.open(f"/jobs/{job}")
    told = alices.page.locator("#told")
    expect(told).to_contain_text("being delivered")
    for id in ids(WebhookDelivery):
        change(WebhookDelivery, id, status="succeeded", due_at=None)
    expect(told).to_have_class("done")
    expect(alices.page.locator("#deliveries").get_by_text("pending")).to_have_count(0)
    told.get_by_role("link", name="Told").click()
    assert alices.page.url.endswith("#deliveries")
    assert alices.violations() == []
    alices.take_picture("job-told")
    assert alices.problems == []
