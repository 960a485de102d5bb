"""A browser for each run, and people who are signed in with it. Without Chromium the tests that need it skip."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.dashboard.visitor import PATIENCE_MS, Visitor
from tests.world import Person

expect.set_options(timeout=PATIENCE_MS)
CHROMIUM = os.environ.get("TUNERY_TEST_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for a module, since Playwright keeps an event loop in this thread, which other tests could not stand."""
    if not Path(CHROMIUM).exists():
        pytest.skip("there is no Chromium: install it (Debian: apt-get install chromium), or set TUNERY_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@contextmanager
def visiting(browser: Browser, base_url: str, api_key: str | None, **appearance: Any) -> Iterator[Visitor]:
    """Open a browser window, signed in with this key. `appearance`: options of Playwright's `new_context`."""
    context = browser.new_context(reduced_motion="reduce", **appearance)
    visitor = Visitor(context, base_url.removesuffix("/v1"))
    if api_key is not None:
        visitor.sign_in(api_key)
    yield visitor
    context.close()


@pytest.fixture
def alices(browser: Browser, alice: Person) -> Iterator[Visitor]:
    """Alice's browser, signed in with her project's key."""
    with visiting(browser, alice.base_url, alice.api_key) as visitor:
        yield visitor


@pytest.fixture
def bobs(browser: Browser, bob: Person) -> Iterator[Visitor]:
    """Bob's browser, signed in with the key of another project."""
    with visiting(browser, bob.base_url, bob.api_key) as visitor:
        yield visitor
