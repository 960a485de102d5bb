"""The pages show a project nothing of another one, and names are text, whatever is in them."""

from collections.abc import Iterator

import httpx2
import pytest

from api.dashboard.routes import PAGES
from api.http.pages import DASHBOARD
from tests.dashboard.signed_in import a_browser, key_of, sign_in
from tests.world import Person

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def bobs(bob: Person) -> Iterator[httpx2.Client]:
    with a_browser(bob.base_url) as browser:
        sign_in(browser, bob.api_key)
        yield browser


def addresses_of_jobs() -> set[tuple[str, str]]:
    """Return method and path of all pages of one job; those of an operator name its project too."""
    routes = {
        (method, route.path.removeprefix(DASHBOARD))
        for module in PAGES
        for route in module.router.routes
        for method in route.methods
    }
    return {(method, path) for method, path in routes if "{job_id}" in path and "{project_id}" not in path}


def test_another_projects_job_is_not_found_on_any_page(alice: Person, bobs: httpx2.Client) -> None:
    job_id = alice.create_job(suffix="secret")
    found = addresses_of_jobs()
    assert len(found) >= 9
    for method, path in sorted(found):
        answers = [bobs.request(method, path.format(job_id=id)) for id in (job_id, "ftjob-0")]
        assert [answer.status_code for answer in answers] == [404, 404], path
        assert "secret" not in answers[0].text
        assert answers[0].text.replace(job_id, "ftjob-0") == answers[1].text
    assert alice.openai.fine_tuning.jobs.retrieve(job_id).status == "validating_files"
    assert "secret" not in bobs.get("/jobs").text
    assert bobs.get("/jobs", params={"after": job_id}).status_code == 404


def test_names_are_shown_as_text(bob: Person, bobs: httpx2.Client) -> None:
    job_id = bob.create_job(suffix=HOSTILE, metadata={HOSTILE: HOSTILE})
    for path in ("", "/jobs", f"/jobs/{job_id}", f"/jobs?model={HOSTILE}"):
        page = bobs.get(path).text
        assert "<img" not in page
        assert "&lt;img" in page


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("status=validating_files", True),
        ("status=failed", False),
        ("suffix=sup", True),
        ("suffix=%25", False),
        ("metadata=team%3Da", True),
        ("metadata=team%3Db", False),
        ("since=1h", True),
        ("model=gpt-4o-mini", True),
        ("model=gpt-4o", False),
    ],
)
def test_the_filters_are_in_the_address(bob: Person, bobs: httpx2.Client, query: str, is_found: bool) -> None:
    job_id = bob.create_job(suffix="support", metadata={"team": "a"})
    assert (f"/jobs/{job_id}" in bobs.get(f"/jobs?{query}").text) is is_found


@pytest.mark.parametrize("query", ["status=nonsense", "metadata=team", "metadata=%3Da", "since=ever"])
def test_a_filter_that_cannot_be_is_told(bobs: httpx2.Client, query: str) -> None:
    answer = bobs.get(f"/jobs?{query}")
    assert (answer.status_code, f"{query.partition('=')[0]} must be" in answer.text) == (400, True)


def test_a_key_that_may_only_read_cannot_cancel(bob: Person) -> None:
    job_id = bob.create_job()
    _, secret = key_of(bob, scopes=["jobs:read"])
    with a_browser(bob.base_url) as browser:
        sign_in(browser, secret)
        assert browser.get(f"/jobs/{job_id}").status_code == 200
        assert browser.post(f"/jobs/{job_id}/cancel").status_code == 403
    assert bob.openai.fine_tuning.jobs.retrieve(job_id).status == "validating_files"
