"""The page of a job, in a browser: it moves by itself, and its buttons do what the API does."""

import re

from playwright.sync_api import expect

from tests.api.training import move
from tests.dashboard.visitor import Visitor
from tests.world import Person, Sandbox, work


def test_the_page_follows_the_job_until_its_end(alices: Visitor, alice: Person, sandbox: Sandbox) -> None:
    job_id = alice.create_job(suffix="followed", validation_file=alice.upload())
    alices.open(f"/jobs/{job_id}")
    expect(alices.page.locator("h1")).to_contain_text("validating files")
    move(alice, sandbox, job_id, "running")
    expect(alices.page.locator("h1")).to_contain_text("running")
    move(alice, sandbox, job_id, "succeeded")
    expect(alices.page.locator("h1")).to_contain_text("succeeded")
    expect(alices.page.get_by_text("The job has successfully completed")).to_be_visible()
    alices.settle()
    expect(alices.page.locator("[data-chart] svg").get_by_text("checkpoint").first).to_be_visible()
    assert alices.problems == []


def test_cancelling_asks_first(alices: Visitor, alice: Person, sandbox: Sandbox) -> None:
    job_id = alice.create_job()
    move(alice, sandbox, job_id, "running")
    alices.open(f"/jobs/{job_id}")
    alices.page.get_by_role("button", name="Cancel …").click()
    alices.page.get_by_role("button", name="Keep it").click()
    assert alice.openai.fine_tuning.jobs.retrieve(job_id).status == "running"
    alices.page.get_by_role("button", name="Cancel …").click()
    alices.page.get_by_role("button", name="Cancel the job").press("Enter")
    expect(alices.page.get_by_text("cancel requested")).to_be_visible()
    work(2)
    expect(alices.page.locator("h1")).to_contain_text("cancelled")
    assert alices.problems == []


def test_the_same_again_is_a_new_job(alices: Visitor, alice: Person) -> None:
    job_id = alice.create_job(suffix="twice", seed=7)
    alices.open(f"/jobs/{job_id}")
    alices.page.get_by_role("button", name="The same again …").click()
    alices.page.get_by_role("button", name="Start it").click()
    alices.page.wait_for_url(re.compile(rf"/jobs/(?!{job_id}$)"))
    expect(alices.page.locator("h1")).to_contain_text("twice")
    assert [job.seed for job in alice.openai.fine_tuning.jobs.list().data] == [7, 7]


def test_the_numbers_are_there_as_a_table(alices: Visitor, alice: Person, sandbox: Sandbox) -> None:
    job_id = alice.create_job()
    move(alice, sandbox, job_id, "succeeded")
    alices.open(f"/jobs/{job_id}")
    alices.page.get_by_text("The numbers as a table").click()
    expect(alices.page.get_by_role("columnheader", name="Training loss")).to_be_visible()
    assert alices.violations() == []


def test_the_list_moves_by_itself(alices: Visitor, alice: Person, sandbox: Sandbox) -> None:
    alices.open("/jobs")
    expect(alices.page.get_by_text("No job yet")).to_be_visible()
    job_id = alice.create_job(suffix="new")
    row = alices.page.get_by_role("row").filter(has_text="new")
    expect(row).to_contain_text("validating files")
    move(alice, sandbox, job_id, "failed")
    expect(row).to_contain_text("failed")
    assert alices.problems == []


def test_the_theme_is_chosen_by_a_button_and_kept(alices: Visitor) -> None:
    alices.open("")
    alices.page.get_by_role("button", name="Switch between light and dark").click()
    expect(alices.page.locator("html")).to_have_attribute("data-theme", "dark")
    alices.open("/jobs")
    expect(alices.page.locator("html")).to_have_attribute("data-theme", "dark")


HOLD = """() => {
  [window.asked, window.open] = [0, []];
  const real = window.fetch;
  window.fetch = (address, ...more) => {
    if (!String(address).includes("/curves")) return real(address, ...more);
    asked += 1;
    return new Promise((answer) => open.push(() => answer(new Response("", { status: 503 }))));
  };
}"""


def test_a_live_chart_is_asked_for_again_only_after_its_answer(alices: Visitor, alice: Person) -> None:
    alices.open(f"/jobs/{alice.create_job()}")
    alices.settle()
    page = alices.page
    page.clock.install()
    page.evaluate(HOLD)
    for _ in range(3):
        page.evaluate("document.dispatchEvent(new Event('metrics'))")
        page.clock.run_for(10_000)
    assert page.evaluate("asked") == 1
    page.evaluate("open.pop()()")
    page.clock.run_for(10_000)
    assert page.evaluate("asked") == 2  # what was new meanwhile is drawn, too
    page.evaluate("open.pop()()")
    page.clock.run_for(10_000)
    assert page.evaluate("asked") == 2
