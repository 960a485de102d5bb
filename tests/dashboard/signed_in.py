"""The dashboard without a browser: a client with cookies, which is quick."""

from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import httpx2

from shared.database import transaction
from shared.projects import service as projects
from shared.projects.models import ApiKey
from tests.world import Person

SAME_SITE = {"sec-fetch-site": "same-origin"}


@contextmanager
def a_browser(base_url: str) -> Iterator[httpx2.Client]:
    """A client with cookies, as a browser without scripts."""
    address = base_url.removesuffix("/v1") + "/dashboard"
    with httpx2.Client(base_url=address, headers={"accept": "text/html", **SAME_SITE}, timeout=60) as browser:
        yield browser


def sign_in(browser: httpx2.Client, key: str, **form: str) -> Any:
    return browser.post("/sign-in", data={"key": key, **form})


def rotate(browser: httpx2.Client, page: str, **form: str) -> Any:
    """Ask for a new secret with the form of a page. The same form sent again, as by a reload, is refused."""
    hint = unescape(browser.get(page).text.split('name="hint" value="')[1].split('"')[0])
    sent = {**form, "hint": hint}
    answer = browser.post(f"{page}/rotate_secret", data=sent)
    again = browser.post(f"{page}/rotate_secret", data=sent)
    assert (again.status_code, "rotated already" in again.text) == (400, True), "sent twice, it rotates twice"
    return answer


def form_id_of(page: str) -> str:
    return page.split('name="form_id" value="')[1].split('"')[0]


def key_of(person: Person, **values: Any) -> tuple[ApiKey, str]:
    with transaction() as session:
        return projects.create_api_key(session, person.project_id, "another", **values)
