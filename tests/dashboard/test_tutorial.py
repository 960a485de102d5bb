"""The whole tutorial by clicks, on everything that `tunery up` starts: from the key to the tuned model's answer."""

import re
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.dashboard.conftest import visiting
from tests.dashboard.visitor import PATIENCE_MS
from tests.servers import PATIENCE
from tests.world import RunningStack

EXAMPLES = Path(__file__).parents[2] / "examples"
MODEL = "gpt-4o-mini"
TRAINING_PATIENCE_MS = 4 * PATIENCE_MS

expect.set_options(timeout=PATIENCE_MS)


def test_the_tutorial_by_clicks_alone(browser: Browser, stack: RunningStack) -> None:
    with visiting(browser, stack.base_url, None) as visitor:
        page = visitor.page
        visitor.open("")
        sign_in(page, stack.api_key)
        upload(page, EXAMPLES / "train.jsonl")
        create_job(page, suffix="clicked")
        model = follow_until_it_has_succeeded(page)
        open_model(page, model)
        ask(page, model, "What is a gradient?")
        assert [each for each in visitor.problems if "404" not in each] == []


def sign_in(page: Page, api_key: str) -> None:
    """`/dashboard` sends whoever is not signed in to the form, and back afterwards."""
    page.get_by_label("API key").fill(api_key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()


def upload(page: Page, file: Path) -> None:
    """The page of the dataset shows by itself when the check has passed, and when the tokens are counted."""
    go_to(page, "Datasets")
    page.get_by_label("Upload a file").set_input_files(file)
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url(re.compile("/datasets/file-"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("processed")
    expect(page.get_by_role("heading", name="Statistics")).to_be_visible()


def create_job(page: Page, suffix: str) -> None:
    page.get_by_role("link", name="Train a model on it").click()
    wait_for_the_models(page)
    page.locator("select[name=model]").select_option(MODEL)
    expect(page.get_by_text("Tokens billed")).to_be_visible()
    expect(page.locator("#estimate").get_by_text(re.compile(r"^\$\d"))).to_be_visible()
    page.get_by_label("Suffix").fill(suffix)
    page.get_by_role("button", name="Create the job").click()
    page.wait_for_url(re.compile("/jobs/ftjob-"))
    expect(page.get_by_role("heading", level=1)).to_contain_text(suffix)


def wait_for_the_models(page: Page) -> None:
    """Load again until the worker has asked the provider for its models; before, the form takes any name."""
    deadline = time.monotonic() + PATIENCE
    while page.locator("select[name=model]").count() == 0:
        assert time.monotonic() < deadline, "the worker has not asked the provider for its models"
        page.wait_for_timeout(500)
        page.reload()


def follow_until_it_has_succeeded(page: Page) -> str:
    """The name of the tuned model, which the page shows by itself: nothing is loaded again."""
    expect(page.get_by_role("heading", level=1)).to_contain_text("succeeded", timeout=TRAINING_PATIENCE_MS)
    name = page.locator("dd.model bdi")
    expect(name).to_have_text(re.compile(rf"^ft:{MODEL}"))
    return name.inner_text()


def open_model(page: Page, model: str) -> None:
    go_to(page, "Models")
    page.get_by_role("link", name=model, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(model)


def ask(page: Page, model: str, prompt: str) -> None:
    page.get_by_role("link", name="Ask", exact=True).click()
    expect(page.get_by_label(model, exact=True)).to_be_checked()
    page.get_by_label(re.compile("^Prompt")).first.fill(prompt)
    page.get_by_role("button", name="Ask").click()
    answer = page.locator("#answers article").filter(has_text=model)
    expect(answer.locator(".said-by").first).not_to_be_empty()


def go_to(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1, name=name, exact=True)).to_be_visible()
