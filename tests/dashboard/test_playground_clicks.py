"""The playground in a browser: answers appear as they come, can be stopped, and rows of a file become prompts."""

import json
from pathlib import Path

from playwright.sync_api import expect

from tests.api.test_chat import BASE
from tests.api.test_chat_limits import asking
from tests.dashboard.furnished import finish
from tests.dashboard.test_playground_streams import HEAD, chunk
from tests.dashboard.visitor import Visitor
from tests.hostile_servers import OPEN_END, sending
from tests.world import Person, work


def test_answers_appear_as_they_come_and_can_be_stopped(alices: Visitor) -> None:
    page = alices.page
    with asking(sending(HEAD + OPEN_END + chunk("One\n\n") + chunk("  <two>"), forever=b"")) as visits:
        alices.open(f"/playground?model={BASE}&prompt=Hello")
        page.get_by_role("button", name="Ask").click()
        said = page.locator(".said-by")
        expect(said).to_have_text("One\n\n  <two>", use_inner_text=True)
        expect(page.get_by_text("It is being asked.")).to_be_hidden()
        assert f"model={BASE}&prompt=Hello" in page.url
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_text("You stopped it.")).to_be_visible()
        expect(page.get_by_role("button", name="Stop")).to_be_hidden()
        expect(said).to_have_text("One\n\n  <two>", use_inner_text=True)
        with page.expect_download() as download:
            page.get_by_role("button", name="Download the answers").click()
        record = json.loads(Path(download.value.path()).read_text())
        assert record == {"model": BASE, "prompt": "Hello", "answer": "One\n\n  <two>", "error": "You stopped it."}
        assert visits.count == 1
    page.mouse.move(0, 0)
    assert alices.violations() == []
    assert alices.problems == []


def test_the_rows_of_a_file_are_filled_in_beside_what_is_chosen(alice: Person, alices: Visitor) -> None:
    file = alice.upload()
    finish(alice.create_job(training_file=file))
    work(2)
    page = alices.page
    alices.open("/playground")
    page.get_by_label("gpt-4o-mini", exact=True).check()
    page.get_by_label("System prompt").fill("Be brief")
    prompts = page.locator("textarea[name=prompt]")
    prompts.nth(0).fill("Mine")
    page.get_by_text("Ask the first rows of a file").click()
    page.get_by_label("Rows").fill("9")
    button = page.get_by_role("button", name="Fill in")
    button.click()
    expect(page.locator("#messages")).to_contain_text("Rows: ")
    expect(prompts.nth(0)).to_have_value("Mine")
    assert alices.problems.pop().endswith("400 (Bad Request)")
    page.get_by_label("Rows").fill("2")
    button.press("Enter")
    for number, text in enumerate(("Mine", "Question 0", "Question 1")):
        expect(prompts.nth(number)).to_have_value(text)
    expect(page.get_by_label("System prompt")).to_have_value("Be brief")
    expect(page.get_by_label("gpt-4o-mini", exact=True)).to_be_checked()
    expect(button).to_be_focused()
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("input[name=answer]")).to_have_count(3)
    page.mouse.move(0, 0)
    assert alices.violations() == []
    assert alices.problems == []
