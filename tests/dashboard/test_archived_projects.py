"""The pages of an archived project: as in the API, its data is shown and can be deleted, but not changed."""

from collections.abc import Iterator

import httpx2
import pytest

from api.dashboard.pages.project import limits
from api.dashboard.pages.project.shown import OF_PROJECT, PERMITTED_WHEN_ARCHIVED
from api.dashboard.routes import PAGES
from api.http.pages import DASHBOARD
from shared.database import transaction
from shared.jobs.archiving import archive_project
from tests.api.administration import Operator
from tests.dashboard.administration import administered
from tests.dashboard.signed_in import a_browser, sign_in
from tests.dashboard.test_sessions import admin_key
from tests.world import Person


@pytest.fixture
def browser(alice: Person, operator: Operator) -> Iterator[httpx2.Client]:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, admin_key(operator))
        yield browser


def changes() -> dict[str, str]:
    """Return the paths of the pages that are sent, by the names of their functions."""
    routers = [limits.of_projects, *(module.router for module in PAGES)]
    return {
        route.endpoint.__name__: route.path.removeprefix(DASHBOARD)
        for router in routers
        for route in router.routes
        if route.path.startswith(DASHBOARD + OF_PROJECT) and "POST" in route.methods
    }


def test_nothing_of_an_archived_project_is_changed_but_it_can_be_deleted(alice: Person, browser: httpx2.Client) -> None:
    made = administered(alice.project_id)
    job_id = alice.create_job()
    with transaction() as session:
        archive_project(session, alice.project_id)
    found = changes()
    assert found.keys() >= PERMITTED_WHEN_ARCHIVED
    assert len(found) > 14
    known = {"project_id": alice.project_id, "key_id": made["key"], "credential_id": made["account"]}
    known |= {"job_id": job_id, "rate_limit_id": f"rl-{alice.project_id}", "alert_id": made["alert"]}
    for name in sorted(found, key=lambda name: name in PERMITTED_WHEN_ARCHIVED):
        answer = browser.post(found[name].format(**known))
        is_refused = answer.status_code == 400 and "is archived" in answer.text
        assert is_refused is (name not in PERMITTED_WHEN_ARCHIVED), (name, answer.status_code, answer.text)
