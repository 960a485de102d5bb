"""The dashboard below a path prefix, and pages that stay open while the server or the key goes away."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import Browser, Route, expect

from cli.processes import ports
from shared.db.times import utc_now
from shared.projects.models import ApiKey
from tests.api.conftest import serving_under
from tests.api.training import move
from tests.dashboard.conftest import visiting
from tests.dashboard.signed_in import key_of
from tests.servers import wait_for_port
from tests.worker.support import change
from tests.world import Person, Sandbox, variables_of_this_test

PREFIX = "/team/tunery"


@contextmanager
def serving_at(port: int) -> Iterator[str]:
    """The api as a process on this port, until it is killed."""
    command = [sys.executable, "-m", "uvicorn", "--factory", "api.main:create_app", "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, **variables_of_this_test()}, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def test_below_a_prefix_every_address_has_it(browser: Browser, alice: Person, sandbox: Sandbox) -> None:
    job_id = alice.create_job(suffix="prefixed")
    with serving_under(TUNERY_ROOT_PATH=PREFIX) as address:
        below = address.removesuffix("/v1") + f"{PREFIX}/v1"
        with visiting(browser, below, alice.api_key) as visitor:
            visitor.page.get_by_role("link", name="Jobs", exact=True).click()
            visitor.page.get_by_role("link", name="prefixed").click()
            visitor.page.wait_for_url(f"**{PREFIX}/dashboard/jobs/{job_id}")
            visitor.settle()
            move(alice, sandbox, job_id, "running")
            expect(visitor.page.locator("h1")).to_contain_text("running")
            visitor.page.get_by_role("button", name="Sign out").click()
            visitor.page.wait_for_url(f"**{PREFIX}/dashboard/sign-in?reason=signed-out")
            assert visitor.problems == []


def test_a_page_goes_on_after_the_server_was_killed(browser: Browser, alice: Person, sandbox: Sandbox) -> None:
    job_id = alice.create_job()
    with ports.held() as port, ExitStack() as windows:
        with serving_at(port) as address:
            visitor = windows.enter_context(visiting(browser, address, alice.api_key))
            visitor.open(f"/jobs/{job_id}")
            expect(visitor.page.locator("h1")).to_contain_text("validating files")
        move(alice, sandbox, job_id, "succeeded")
        with serving_at(port):
            expect(visitor.page.locator("h1")).to_contain_text("succeeded")


@pytest.mark.parametrize("failure", ["no answer", "503"])
def test_a_page_whose_stream_fails_at_first_goes_live_later(
    browser: Browser, alice: Person, sandbox: Sandbox, failure: str
) -> None:
    job_id = alice.create_job()
    failed: list[Route] = []

    def fail_twice(route: Route) -> None:
        if len(failed) == 2:
            return route.continue_()
        failed.append(route)
        if failure == "503":
            return route.fulfill(status=503, json={"error": {"message": "not now"}})
        return route.abort("connectionrefused")

    with visiting(browser, alice.base_url, alice.api_key) as visitor:
        visitor.page.route("**/live", fail_twice)
        visitor.open(f"/jobs/{job_id}")
        expect(visitor.page.locator("h1")).to_contain_text("validating files")
        move(alice, sandbox, job_id, "succeeded")
        expect(visitor.page.locator("h1")).to_contain_text("succeeded")
        assert len(failed) == 2


def test_a_page_that_is_open_ends_with_its_key(browser: Browser, alice: Person) -> None:
    key, secret = key_of(alice)
    job_id = alice.create_job()
    with visiting(browser, alice.base_url, secret) as visitor:
        visitor.open(f"/jobs/{job_id}")
        change(ApiKey, key.id, revoked_at=utc_now())
        expect(visitor.page.get_by_text("You are signed out")).to_be_visible()
        expect(visitor.page.get_by_label("API key")).to_be_visible()
