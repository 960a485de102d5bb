"""Signing out in one tab signs out all tabs of the browser, those whose part moves by itself too."""

from playwright.sync_api import expect

from tests.dashboard.visitor import Visitor
from tests.world import Person


def test_other_tabs_show_nothing_more_after_signing_out(alice: Person, alices: Visitor) -> None:
    job = alice.create_job()
    alices.open("/jobs")
    other = alices.page.context.new_page()
    other.goto(f"{alices.address}/jobs/{job}")
    expect(other.get_by_role("heading", level=1)).to_be_visible()
    alices.page.get_by_role("button", name="Sign out").click()
    expect(alices.page.get_by_text("You have signed out.")).to_be_visible()
    expect(other.get_by_label("API key")).to_be_visible()
    assert job not in other.locator("main").inner_text()
    assert f"next=/dashboard/jobs/{job}" in other.url
    alices.page.go_back()
    expect(alices.page.get_by_label("API key")).to_be_visible()
