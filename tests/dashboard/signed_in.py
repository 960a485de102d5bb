"""The dashboard without a browser: a client with cookies, which is quick."""

from collections.abc import Iterator
from contextlib import contextmanager
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


def key_of(person: Person, **values: Any) -> tuple[ApiKey, str]:
    with transaction() as session:
        return projects.create_api_key(session, person.project_id, "another", **values)
