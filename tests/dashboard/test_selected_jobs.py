"""What is selected in the list of jobs stays so on its other pages, under its filters, and when it is not shown."""

import pytest
from playwright.sync_api import expect

from api.dashboard import job_list
from tests.dashboard.signed_in import a_browser, sign_in
from tests.dashboard.visitor import Visitor
from tests.world import Person


@pytest.fixture
def ids(alice: Person, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three jobs, oldest first, in a list that shows two."""
    monkeypatch.setattr(job_list, "JOBS_PER_PAGE", 2)
    file = alice.upload()
    return [alice.create_job(training_file=file, suffix=name) for name in ("first", "second", "third")]


def test_the_selection_stays_on_other_pages_and_under_a_filter(alices: Visitor, ids: list[str]) -> None:
    page = alices.page
    alices.open("/jobs")
    page.get_by_label("Select third").check()
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_text("1 selected, 1 not on this page")).to_be_visible()
    page.get_by_label("Select first").check()
    expect(page.get_by_text("2 selected, 1 not on this page")).to_be_visible()
    page.get_by_label("Suffix begins with").fill("second")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("2 selected, 2 not on this page")).to_be_visible()
    assert alices.violations() == []
    page.get_by_role("link", name="All", exact=True).click()
    expect(page.get_by_label("Select third")).to_be_checked()
    page.get_by_role("link", name="Older").click()
    page.get_by_role("link", name="Select none").click()
    expect(page.get_by_label("Select first")).not_to_be_checked()
    expect(page.get_by_text("2 selected")).to_be_hidden()
    page.go_back()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url(lambda url: "/compare" in url and all(url.count(f"job={id}") == 1 for id in (ids[0], ids[2])))
    assert alices.problems == []


def test_a_selected_job_that_newer_ones_push_off_the_page_stays_selected(
    alices: Visitor, alice: Person, ids: list[str]
) -> None:
    page = alices.page
    alices.open("/jobs")
    page.get_by_label("Select second").check()
    alice.create_job(suffix="fourth")
    expect(page.get_by_label("Select fourth")).to_be_visible()
    expect(page.get_by_label("Select second")).to_have_count(0)
    expect(page.get_by_text("1 selected, 1 not on this page")).to_be_visible()
    page.get_by_text("Cancel selected").click()
    page.get_by_role("button", name="Cancel the jobs").click()
    expect(page.get_by_role("heading")).to_have_text("1 of 1 job cancelled")
    assert alice.http.get(f"/fine_tuning/jobs/{ids[1]}").json()["status"] == "cancelled"


def test_without_scripts_the_selection_goes_along(alice: Person, ids: list[str]) -> None:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        text = browser.get("/jobs", params={"job": [ids[0], ids[2]], "suffix": "second"}).text
    assert "2 selected, 2 not on this page" in text
    for id in (ids[0], ids[2]):
        assert text.count(f'<input type="hidden" name="job" value="{id}">') == 2  # for the filter, and for what is done
    assert f'href="/dashboard/jobs?job={ids[0]}&amp;job={ids[2]}"' in text
