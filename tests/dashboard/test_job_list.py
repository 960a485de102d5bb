"""The list of jobs: what a row shows, several jobs selected and cancelled, and what stays while it moves."""

from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import expect

from api.dashboard.pages import jobs
from shared.errors import RateLimited
from shared.jobs.models import Job
from tests.api.administration import Operator
from tests.api.audited import entries
from tests.api.training import move
from tests.dashboard.signed_in import a_browser, key_of, sign_in
from tests.dashboard.test_sessions import admin_key
from tests.dashboard.visitor import Visitor
from tests.worker.support import change
from tests.world import Person, Sandbox, row, work


def page_of(person: Person, key: str | None = None, path: str = "/jobs") -> str:
    with a_browser(person.base_url) as browser:
        sign_in(browser, key or person.api_key)
        return str(browser.get(path).text)


def test_a_row_shows_the_file_the_key_the_losses_and_the_api_has_the_same(alice: Person, sandbox: Sandbox) -> None:
    key, secret = key_of(alice)
    file = alice.upload(name="support tickets.jsonl")
    with closing(Person(alice.base_url, secret, alice.project_id)) as other:
        job = other.create_job(training_file=file, validation_file=file)
    move(alice, sandbox, job, "running")
    move(alice, sandbox, job, "succeeded")
    text = page_of(alice)
    found = alice.http.get(f"/fine_tuning/jobs/{job}").json()
    assert (found["api_key_id"], found["sent_at"] >= found["created_at"]) == (key.id, True)
    assert found["started_at"] >= found["sent_at"]
    lowest = min(point["full_valid_loss"] or 99 for point in points(alice, job))
    assert found["best_valid_loss"] == lowest
    for shown in (f'/datasets/{file}"><bdi>support tickets.jsonl', f"by <bdi>{key.name}</bdi>", f">{lowest:.4g}</td>"):
        assert shown in text
    assert 'aria-label="Training loss from ' in text


def points(person: Person, job: str) -> Any:
    return person.http.get(f"/fine_tuning/jobs/{job}/metrics").json()["points"]


def test_a_file_that_is_deleted_is_not_linked_and_an_operator_not_named(alice: Person, operator: Operator) -> None:
    file = alice.upload()
    with a_browser(alice.base_url) as browser:
        sign_in(browser, admin_key(operator))
        browser.post("/projects/choose", data={"project_id": alice.project_id})
        made = browser.post("/jobs/new", data={"training_file": file, "model": "gpt-4o-mini", "method": "supervised"})
    job = made.headers["location"].rpartition("/")[2]
    alice.http.post(f"/fine_tuning/jobs/{job}/cancel")
    alice.http.delete(f"/files/{file}").raise_for_status()
    text = page_of(alice)
    assert f"/datasets/{file}" not in text
    assert ("deleted file" in text, "by <bdi>an admin key</bdi>" in text) == (True, True)


def test_selected_jobs_are_cancelled_each_by_itself(alice: Person, bob: Person) -> None:
    first, second, ended, others = alice.create_job(), alice.create_job(), alice.create_job(), bob.create_job()
    alice.http.post(f"/fine_tuning/jobs/{ended}/cancel")
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        answer = browser.post("/jobs/cancel", data={"job": [first, ended, others, second, first]})
    assert (answer.status_code, "2 of 4 jobs cancelled" in answer.text) == (200, True)
    assert "The job is cancelled: cancel is for a job that is" in answer.text
    assert f"No such fine-tuning job: {others}" in answer.text
    assert [row(Job, id).status for id in (first, second, others)] == ["cancelled", "cancelled", "validating_files"]
    found = [(each.type, each.resource_id, each.api_key_id is None) for each in entries() if each.resource_id]
    for entry in (
        ("fine_tuning.job.cancelled", first),
        ("fine_tuning.job.cancelled", second),
        ("change.refused", ended),
        ("change.refused", others),
    ):
        assert found.count((*entry, False)) == 1


def test_a_cancel_that_the_provider_has_yet_to_confirm_is_not_counted_as_done(alice: Person, sandbox: Sandbox) -> None:
    running = alice.create_job()
    move(alice, sandbox, running, "running")
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        text = browser.post("/jobs/cancel", data={"job": [running]}).text
        assert ("<h1>0 of 1 job cancelled, 1 requested</h1>" in text, "cancel requested" in text) == (True, True)
        answer = browser.get("/jobs/cancel")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/jobs")


@pytest.mark.parametrize("ids", [[], [f"ftjob-{number}" for number in range(26)]], ids=["none", "too many"])
def test_no_jobs_and_too_many_are_refused(alice: Person, ids: list[str]) -> None:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        answer = browser.post("/jobs/cancel", data={"job": ids})
    assert (answer.status_code, "Select 1 to 25 jobs" in answer.text) == (400, True)


def test_cancelling_needs_the_scope(alice: Person) -> None:
    job = alice.create_job()
    with a_browser(alice.base_url) as browser:
        sign_in(browser, key_of(alice, scopes=["jobs:read"])[1])
        answer = browser.post("/jobs/cancel", data={"job": job})
    assert (answer.status_code, row(Job, job).status) == (403, "validating_files")


def test_each_cancelled_job_counts_as_a_request(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, counted = [alice.create_job() for _ in range(5)], []

    async def count_another(_: Any) -> None:
        counted.append(1)
        if len(counted) > 2:
            raise RateLimited("The limit of 3 requests per minute is reached", retry_after=30)

    monkeypatch.setattr(jobs, "count_another", count_another)
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        page = browser.post("/jobs/cancel", data={"job": ids}).text
    assert [row(Job, id).status == "cancelled" for id in ids] == [True, True, True, False, False]
    assert ("3 of 5 jobs cancelled" in page, page.count("The limit of 3 requests per minute")) == (True, 2)
    assert len(counted) == 4  # the request itself is the first


def test_what_is_selected_stays_when_the_list_moves(alice: Person, alices: Visitor) -> None:
    first, _ = alice.create_job(suffix="first"), alice.create_job(suffix="second")
    page = alices.page
    alices.open("/jobs")
    page.get_by_label("Select first").check()
    page.wait_for_url(lambda url: f"job={first}" in url)
    expect(page.get_by_text("1 selected")).to_be_visible()
    expect(page.get_by_role("button", name="Compare")).to_be_disabled()
    page.get_by_label("Select second").focus()
    page.evaluate("scrollTo(0, 40)")
    alice.create_job(suffix="third")
    expect(page.get_by_label("Select third")).to_be_visible()
    change(Job, first, step=5, total_steps=10, status="running")
    expect(page.locator(f"#row-{first}")).to_contain_text("50")
    expect(page.get_by_label("Select first")).to_be_checked()
    expect(page.get_by_label("Select third")).not_to_be_checked()
    expect(page.get_by_label("Select second")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.get_by_text("2 selected")).to_be_visible()
    expect(page.get_by_role("button", name="Compare")).to_be_enabled()
    page.reload()
    expect(page.get_by_text("2 selected")).to_be_visible()
    assert alices.violations() == []
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    page.go_back()
    page.get_by_text("Cancel selected").click()
    page.get_by_role("button", name="Cancel the jobs").click()
    expect(page.get_by_role("heading")).to_have_text("2 of 2 jobs cancelled")
    assert alices.violations() == []
    assert alices.problems == []
    work()


def test_a_job_that_ended_without_a_cost_shows_none(alice: Person) -> None:
    work()
    file = alice.upload()
    work()
    stopped, moving = (alice.create_job(training_file=file) for _ in range(2))
    work()
    assert alice.http.post(f"/fine_tuning/jobs/{stopped}/cancel").json()["estimated_cost"] is not None
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        for path in (f"/jobs/{stopped}", "/jobs?status=cancelled", f"/jobs/compare?job={stopped}"):
            assert "≈" not in browser.get(path).text, path
        for path in (f"/jobs/{moving}", "/jobs", f"/jobs/compare?job={moving}"):
            assert "≈" in browser.get(path).text, path
