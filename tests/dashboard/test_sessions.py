"""Signing in to the dashboard: a session is its API key, in a cookie that shows nothing of it."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest

from api.dashboard.session import cookie
from api.dashboard.session.cookie import NAME, Session
from shared.database import transaction
from shared.db.times import utc_now
from shared.projects import service as projects
from shared.projects.models import ApiKey
from tests.api.administration import Operator
from tests.dashboard.signed_in import SAME_SITE, a_browser, key_of, sign_in
from tests.servers import until
from tests.worker.support import change
from tests.world import Person


@pytest.fixture
def browser(alice: Person) -> Iterator[httpx2.Client]:
    with a_browser(alice.base_url) as browser:
        yield browser


def admin_key(operator: Operator) -> str:
    return str(operator.http.headers["authorization"]).removeprefix("Bearer ")


def test_a_key_signs_in_and_is_not_in_the_cookie(alice: Person, browser: httpx2.Client) -> None:
    answer = sign_in(browser, f" {alice.api_key} ", next="/dashboard/jobs?status=failed")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/jobs?status=failed")
    said = answer.headers["set-cookie"]
    assert "HttpOnly" in said
    assert "SameSite=lax" in said
    assert "Path=/dashboard" in said
    assert alice.api_key[8:] not in said
    page = browser.get("")
    assert page.status_code == 200
    assert "alice&#39;s team" in page.text
    assert alice.api_key not in page.text


def test_the_cookie_is_sent_over_tls_only_where_there_is_tls(alice: Person) -> None:
    address = alice.base_url.removesuffix("/v1") + "/dashboard"
    headers = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9", **SAME_SITE}
    answer = httpx2.post(f"{address}/sign-in", data={"key": alice.api_key}, headers=headers)
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("elsewhere", ["https://example.org", "//example.org", "/dashboard//example.org", "/v1/files"])
def test_signing_in_leads_nowhere_else(alice: Person, browser: httpx2.Client, elsewhere: str) -> None:
    assert sign_in(browser, alice.api_key, next=elsewhere).headers["location"] == "/dashboard"


def test_a_wrong_key_is_told_on_the_form(browser: httpx2.Client) -> None:
    answer = sign_in(browser, "sk-tun-nothing", next="/dashboard/jobs?status=failed")
    assert answer.status_code == 401
    assert 'name="next" value="/dashboard/jobs?status=failed"' in answer.text
    assert "mistyped" in answer.text
    assert all(each.startswith(f'{NAME}="";') for each in answer.headers.get_list("set-cookie"))
    assert NAME not in browser.cookies


def test_without_a_session_every_page_leads_to_the_form_and_back(browser: httpx2.Client) -> None:
    answer = browser.get("/jobs", params={"status": "failed"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/dashboard/sign-in?next=/dashboard/jobs%3Fstatus%3Dfailed"


def test_an_address_that_is_too_long_to_come_back_to_leads_to_the_form_all_the_same(browser: httpx2.Client) -> None:
    answer = browser.get("/jobs", params={"suffix": "x" * 3000})
    assert answer.headers["location"] == "/dashboard/sign-in"


def test_a_part_that_finds_no_session_leads_to_the_form_and_back(browser: httpx2.Client) -> None:
    shown = {"hx-request": "true", "hx-current-url": "https://server/dashboard/jobs?status=failed"}
    answer = browser.get("/jobs/live", headers=shown)
    assert answer.headers["hx-redirect"] == "/dashboard/sign-in?reason=ended&next=/dashboard/jobs%3Fstatus%3Dfailed"


def test_a_session_ends_with_its_key(alice: Person, browser: httpx2.Client) -> None:
    key, secret = key_of(alice)
    sign_in(browser, secret)
    assert browser.get("").status_code == 200
    change(ApiKey, key.id, revoked_at=utc_now())
    until(lambda: browser.get("").status_code == 303)
    assert NAME not in browser.cookies


def test_a_session_ends_by_itself(alice: Person, browser: httpx2.Client) -> None:
    browser.cookies.set(NAME, Session(alice.api_key, None, ends_at=1).sealed())
    assert browser.get("").status_code == 303


def test_a_forged_cookie_is_none(alice: Person, browser: httpx2.Client) -> None:
    browser.cookies.set(NAME, "v1.0.x.y")
    assert browser.get("").status_code == 303
    assert cookie.opened("not a session") is None


def test_signing_out_drops_the_cookie(alice: Person, browser: httpx2.Client) -> None:
    sign_in(browser, alice.api_key)
    assert browser.post("/sign-out").status_code == 303
    assert browser.get("").status_code == 303


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}, {}],
)
def test_a_request_that_another_site_makes_is_refused(alice: Person, headers: dict[str, str]) -> None:
    address = alice.base_url.removesuffix("/v1") + "/dashboard"
    session = {NAME: Session.new(alice.api_key).sealed()}
    answer = httpx2.post(f"{address}/sign-out", headers=headers, cookies=session)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_request_of_our_own_origin_is_accepted_without_fetch_metadata(alice: Person) -> None:
    address = alice.base_url.removesuffix("/v1")
    answer = httpx2.post(f"{address}/dashboard/sign-out", headers={"origin": address})
    assert answer.status_code in {303, 401}


def test_the_scopes_of_the_key_are_those_of_the_pages(alice: Person, browser: httpx2.Client) -> None:
    _, secret = key_of(alice, scopes=["files:read"])
    sign_in(browser, secret)
    answer = browser.get("")
    assert answer.status_code == 403
    assert "jobs:read" in answer.text


def test_a_link_signs_in_once(alice: Person, browser: httpx2.Client) -> None:
    link = alice.http.post(alice.base_url.removesuffix("/v1") + "/dashboard/sign-in-links").json()["path"]
    assert alice.api_key not in link
    path, code = link.removeprefix("/dashboard").split("?code=")
    for _ in range(2):  # previews, too
        assert f'value="{code}"' in browser.get(path, params={"code": code}).text
        assert NAME not in browser.cookies
    assert browser.post(path, data={"code": code}, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert browser.post(path, data={"code": code}).headers["location"] == "/dashboard"
    assert browser.get("").status_code == 200
    with a_browser(alice.base_url) as another:
        answer = another.post(path, data={"code": code})
        assert answer.status_code == 401
        assert "has been used" in answer.text


def test_a_link_needs_a_key(alice: Person) -> None:
    address = alice.base_url.removesuffix("/v1")
    answer = httpx2.post(f"{address}/dashboard/sign-in-links")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "missing_api_key")


def test_an_admin_key_chooses_the_project(alice: Person, bob: Person, operator: Operator) -> None:
    with a_browser(alice.base_url) as browser:
        assert sign_in(browser, admin_key(operator)).headers["location"] == "/dashboard/projects"
        assert browser.get("").status_code == 403
        for person, name in ((alice, "alice"), (bob, "bob")):
            answer = browser.post("/projects/choose", data={"project_id": person.project_id})
            assert answer.headers["location"] == "/dashboard"
            assert f"{name}&#39;s team" in browser.get("").text
        assert browser.post("/projects/choose", data={"project_id": "proj_none"}).status_code == 404


def test_an_admin_key_that_could_make_no_key_of_a_project_does_not_work_in_it(alice: Person) -> None:
    with transaction() as session:
        _, secret = projects.create_api_key(session, None, "auditor", scopes=["admin:projects:read"])
    with a_browser(alice.base_url) as browser:
        sign_in(browser, secret)
        assert browser.get("/projects").status_code == 200
        assert browser.post("/projects/choose", data={"project_id": alice.project_id}).status_code == 403
        browser.cookies.set(NAME, Session.new(secret, alice.project_id).sealed())
        assert browser.get("").status_code == 403


def test_a_projects_key_sees_no_list_of_projects(alice: Person, browser: httpx2.Client) -> None:
    sign_in(browser, alice.api_key)
    assert browser.get("/projects").status_code == 403


def test_the_start_of_the_server_leads_browsers_to_the_dashboard(alice: Person) -> None:
    address = alice.base_url.removesuffix("/v1")
    answer = httpx2.get(f"{address}/", headers={"accept": "text/html,*/*"})
    assert (answer.status_code, urlsplit(answer.headers["location"]).path) == (303, "/dashboard")
    assert httpx2.get(f"{address}/").json()["error"]["code"] == "unknown_url"


def test_pages_bring_their_policy(alice: Person, browser: httpx2.Client) -> None:
    sign_in(browser, alice.api_key)
    headers = browser.get("").headers
    assert headers["content-security-policy"].startswith("default-src 'self'; ")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
