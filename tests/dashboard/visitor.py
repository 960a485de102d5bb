"""A person's browser: opens pages, and notes whatever a page must not do."""

import os
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
RUN_AXE = """async () => (await axe.run()).violations.map(
  (each) => `${each.id}: ${each.nodes.map((node) => node.target.join(" ") + " " + node.failureSummary).join("; ")}`)"""
RUN_AXE_ON_COLOURS = """async (node) => (await axe.run(node, { runOnly: ["color-contrast"] })).violations.flatMap(
  (each) => each.nodes.map((found) => found.failureSummary))"""
PATIENCE_MS = 60_000


class Visitor:
    """`problems`: errors in the console, violations of the policy, scripts that failed, requests to other servers."""

    def __init__(self, context: BrowserContext, server: str) -> None:
        self.server = server
        self.address = f"{server}/dashboard"
        self.problems: list[str] = []
        context.set_default_timeout(PATIENCE_MS)
        self.page: Page = context.new_page()
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        self.page.on("request", self._note_request)

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(f"console: {message.text}")

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith((self.server, "data:")):
            self.problems.append(f"request: {request.url}")

    def sign_in(self, api_key: str) -> None:
        self.open("/sign-in")
        self.page.get_by_label("API key").fill(api_key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda url: "sign-in" not in url)

    def open(self, path: str) -> None:
        """Open a page; `path` begins after `/dashboard`."""
        self.page.goto(self.address + path, wait_until="load")

    def settle(self) -> None:
        """Wait until all charts of the page are drawn."""
        for chart in self.page.locator("[data-chart]").all():
            chart.locator("svg").first.wait_for()

    def violations(self) -> list[str]:
        """Return what axe finds against the page as it is now."""
        self.page.evaluate(_axe())
        found: Any = self.page.evaluate(RUN_AXE)
        return list(found)

    def contrast_violations(self, element: Locator) -> list[str]:
        """Return what axe finds against the colours of one element as it is now, such as under the pointer."""
        self.page.evaluate(_axe())
        found: Any = element.evaluate(RUN_AXE_ON_COLOURS)
        return list(found)

    def is_wider_than_the_screen(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))

    def take_picture(self, name: str) -> None:
        """Keep a picture of the page in the folder that TUNERY_TEST_PICTURES names, if it names one."""
        if folder := os.environ.get("TUNERY_TEST_PICTURES"):
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@cache
def _axe() -> str:
    return AXE.read_text()
