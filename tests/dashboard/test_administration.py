"""The pages of a project's administration and of the operator: with an admin key, its scopes, and no other project."""

from collections.abc import Iterator
from html import unescape
from typing import Any

import httpx2
import pytest

from shared.database import transaction
from shared.projects import credentials
from shared.projects import service as projects
from tests.api.administration import Operator
from tests.dashboard.administration import administered, endpoint
from tests.dashboard.pages import OF_AN_OPERATOR
from tests.dashboard.signed_in import a_browser, form_id_of, rotate, sign_in
from tests.dashboard.test_sessions import admin_key
from tests.world import Person, work

SECRET = "sk-provider-secret-12345"


@pytest.fixture
def browser(alice: Person, operator: Operator) -> Iterator[httpx2.Client]:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, admin_key(operator))
        yield browser


def secret_of(answer: Any) -> str:
    assert answer.status_code == 200, answer.text
    return unescape(str(answer.text.split('id="secret">')[1].split("<")[0]))


def keys_of(operator: Operator, person: Person, **query: str) -> list[dict[str, Any]]:
    path = f"/projects/{person.project_id}/api_keys"
    return list(operator.http.get(path, params=query).raise_for_status().json()["data"])


def test_every_page_opens(alice: Person, browser: httpx2.Client) -> None:
    known = {"project": alice.project_id, **administered(alice.project_id)}
    endpoint(alice)
    alice.create_job()
    work(1)
    for name, path in OF_AN_OPERATOR.items():
        answer = browser.get(path.format(**known))
        assert answer.status_code == 200, (name, answer.text)
        assert "<script>alert" not in answer.text, name


def test_a_key_is_made_changed_rotated_and_revoked(alice: Person, operator: Operator, browser: httpx2.Client) -> None:
    page = f"/projects/{alice.project_id}/keys"
    typed = {"name": "ci", "scopes": ["jobs:read", "jobs:write"], "allowed_networks": "127.0.0.0/8 ::1", "x": ""}
    secret = secret_of(browser.post(page, data={**typed, "expires_in_seconds": "604800"}))
    assert httpx2.get(f"{alice.base_url}/fine_tuning/jobs", headers={"authorization": f"Bearer {secret}"}).is_success
    made = next(each for each in keys_of(operator, alice) if each["name"] == "ci")
    assert (sorted(made["scopes"]), made["expires_at"] is None) == (["jobs:read", "jobs:write"], False)
    for path in (page, f"{page}/{made['id']}"):
        assert secret not in browser.get(path).text
    assert secret not in browser.get("/audit").text
    assert browser.post(f"{page}/{made['id']}", data={"scopes": ["files:read"]}).status_code == 303
    changed = next(each for each in keys_of(operator, alice) if each["name"] == "ci")
    assert (changed["scopes"], changed["allowed_networks"]) == (["files:read"], [])
    assert secret_of(rotate(browser, f"{page}/{made['id']}", overlap="on")) != secret
    assert browser.post(f"{page}/{made['id']}/revoke").status_code == 303
    assert "ci" not in {each["name"] for each in keys_of(operator, alice)}
    assert browser.get(f"{page}/{made['id']}").status_code == 404
    assert "revoked" in browser.get(page, params={"include_revoked": "true"}).text


def test_a_form_that_is_sent_again_makes_no_second_key(
    alice: Person, operator: Operator, browser: httpx2.Client
) -> None:
    for page, form in ((f"/projects/{alice.project_id}/keys", "/new"), ("/operator/admin-keys", "")):
        typed = {"name": "once", "scopes": ["jobs:read"], "form_id": form_id_of(browser.get(page + form).text)}
        if "operator" in page:
            typed["scopes"] = ["admin:projects:read"]
        refused = browser.post(page, data={**typed, "allowed_networks": "everywhere"})
        assert refused.status_code == 400
        secret = secret_of(browser.post(page, data=typed))
        again = browser.post(page, data=typed)
        assert (again.status_code, "has been sent already" in again.text) == (400, True)
        assert secret not in again.text
        assert browser.get(page).text.count("<bdi>once</bdi>") == 1
        secret_of(browser.post(page, data={**typed, "form_id": form_id_of(again.text)}))


def test_a_form_that_is_sent_again_leads_to_what_it_made(alice: Person, browser: httpx2.Client) -> None:
    of = f"/projects/{alice.project_id}"
    forms = {
        f"{of}/alerts": (f"{of}/alerts", {"threshold_amount": "77", "notification_channel": "once@example.com"}),
        f"{of}/accounts": (f"{of}/accounts/new", {"name": "once", "base_url": "https://a.example", "api_key": SECRET}),
        "/operator/projects": ("/operator/projects", {"name": "once"}),
    }
    for page, (form, typed) in forms.items():
        sent = {**typed, "form_id": form_id_of(browser.get(form).text)}
        first, second = (browser.post(page, data=sent) for _ in range(2))
        assert first.status_code == second.status_code == 303, page
        assert first.headers["location"] == second.headers["location"]
        assert browser.get(page).text.count("<bdi>once") == 1, page
        browser.post(page, data={**sent, "form_id": form_id_of(browser.get(form).text)})
        assert browser.get(page).text.count("<bdi>once") == 2, page


def test_a_wrong_network_is_told_at_its_field(alice: Person, operator: Operator, browser: httpx2.Client) -> None:
    before = len(keys_of(operator, alice))
    answer = browser.post(
        f"/projects/{alice.project_id}/keys",
        data={"name": "ci", "allowed_networks": "everywhere", "scopes": "jobs:read"},
    )
    assert answer.status_code == 400
    assert 'id="allowed_networks-error"' in answer.text
    assert "everywhere</textarea>" in answer.text
    assert len(keys_of(operator, alice)) == before


def test_an_account_is_added_and_its_key_is_never_shown(alice: Person, browser: httpx2.Client) -> None:
    page = f"/projects/{alice.project_id}/accounts"
    typed = {"name": "ours", "base_url": "ftp://example.com", "api_key": SECRET, "dialect": "openai", "provider": ""}
    refused = browser.post(page, data=typed)
    assert refused.status_code == 400
    assert 'id="base_url-error"' in refused.text
    assert SECRET not in refused.text
    answer = browser.post(page, data={**typed, "base_url": "https://api.openai.com/v1"})
    assert answer.status_code == 303
    path = answer.headers["location"].removeprefix("/dashboard")
    assert SECRET not in browser.get(path).text
    assert browser.post(path, data={"name": "renamed", "api_key": "two words"}).status_code == 400
    assert browser.post(path, data={"name": "renamed", "api_key": "", "webhook_secret": ""}).status_code == 303
    with transaction() as session:
        found = credentials.get(session, alice.project_id, path.rsplit("/", 1)[1])
        assert (found.name, found.key_version) == ("renamed", 1)
    assert browser.post(f"{path}/delete").status_code == 303
    assert browser.get(path).status_code == 404


def test_another_projects_rows_are_not_found(alice: Person, bob: Person, browser: httpx2.Client) -> None:
    known = administered(alice.project_id)
    for path in (f"/keys/{known['key']}", f"/accounts/{known['account']}"):
        assert browser.get(f"/projects/{alice.project_id}{path}").status_code == 200
        assert browser.get(f"/projects/{bob.project_id}{path}").status_code == 404
        assert browser.post(f"/projects/{bob.project_id}{path}", data={"name": "mine"}).status_code == 404
    assert browser.get("/projects/proj_none/keys").status_code == 404


def test_a_project_is_made_and_archived(browser: httpx2.Client) -> None:
    assert browser.post("/operator/projects", data={"name": ""}).status_code == 400
    answer = browser.post("/operator/projects", data={"name": "new one"})
    project_id = answer.headers["location"].split("/")[3]
    assert "new one" in browser.get("/operator/projects").text
    assert browser.post(f"/operator/projects/{project_id}/archive").status_code == 303
    assert "new one" not in browser.get("/operator/projects").text
    assert "new one" in browser.get("/operator/projects?include_archived=true").text


def test_shares_quotas_and_rates_are_set_and_refused_at_their_fields(
    alice: Person, operator: Operator, browser: httpx2.Client
) -> None:
    page = f"/projects/{alice.project_id}"
    typed = {"name": "alice's team", "weight": "2.5", "max_active_jobs": "4", "files": "10", "api_keys": ""}
    assert browser.post(f"{page}/quotas", data=typed).status_code == 303
    found = operator.http.get(page).json()
    assert (found["weight"], found["max_active_jobs"], found["quotas"]["files"]) == (2.5, 4, 10)
    for field, wrong in (("weight", "heavy"), ("files", "-1"), ("max_active_jobs", "many")):
        answer = browser.post(f"{page}/quotas", data={**typed, field: wrong})
        assert (answer.status_code, f'id="{field}-error"' in answer.text) == (400, True), field
    rates = f"{page}/rates/rl-{alice.project_id}"
    assert browser.post(rates, data={"max_requests_per_1_minute": "5000", "max_open_jobs": ""}).status_code == 303
    assert 'value="5000"' in browser.get(f"{page}/rates").text
    assert browser.post(rates, data={"max_open_jobs": "x"}).status_code == 400
    assert browser.post(f"{page}/rates/rl-proj_none", data={"max_open_jobs": "1"}).status_code == 404


def test_an_admin_key_is_made_bound_rotated_and_revoked(alice: Person, browser: httpx2.Client) -> None:
    page = "/operator/admin-keys"
    typed = {"name": "auditor", "scopes": "admin:audit_logs:read", "allowed_networks": "127.0.0.0/8 ::1"}
    secret = secret_of(browser.post(page, data=typed))
    with a_browser(alice.base_url) as auditor:
        sign_in(auditor, secret)
        assert auditor.get("/audit").status_code == 200
        assert auditor.get(page).status_code == 403
    listing = browser.get(page).text
    assert secret not in listing
    path = f"{page}/" + listing.split(f'href="/dashboard{page}/')[1].split('"')[0]
    assert "auditor" in browser.get(path).text
    assert browser.post(path, data={"allowed_networks": "nowhere"}).status_code == 400
    assert browser.post(path, data={"allowed_networks": ""}).status_code == 303
    assert secret_of(rotate(browser, path)) != secret
    assert browser.post(f"{path}/revoke").status_code == 303
    assert browser.get(path).status_code == 404


def test_a_job_that_waits_is_approved_or_rejected_with_a_reason(alice: Person, browser: httpx2.Client) -> None:
    page = f"/projects/{alice.project_id}"
    browser.post(f"{page}/budget/approval", data={"approval_amount": "0"})
    first, second = alice.create_job(), alice.create_job()
    work(4)
    shown = browser.get(f"{page}/approvals").text
    assert first in shown
    assert second in shown
    assert browser.post(f"{page}/approvals/{first}/approve").status_code == 303
    assert browser.post(f"{page}/approvals/{second}/reject", data={"reason": "x" * 501}).status_code == 400
    assert browser.post(f"{page}/approvals/{second}/reject", data={"reason": "too dear"}).status_code == 303
    assert "Nothing waits for approval" in browser.get(f"{page}/approvals").text
    job = alice.http.get(f"/fine_tuning/jobs/{second}").json()
    assert (job["status"], "too dear" in str(job["error"])) == ("cancelled", True)


def test_the_audit_log_is_filtered(alice: Person, bob: Person, browser: httpx2.Client) -> None:
    for person in (alice, bob):
        browser.post(f"/projects/{person.project_id}/keys", data={"name": "audited"})
    query = {"type": "api_key.created", "project": alice.project_id, "since": "2026-01-01T00:00", "until": ""}
    shown = browser.get("/audit", params=query).text
    assert "alice&#39;s team" in shown
    assert "bob&#39;s team" not in shown
    assert browser.get("/audit", params={"since": "then"}).status_code == 400


@pytest.mark.parametrize("path", ["/operator", "/operator/accounts", "/operator/projects", "/audit"])
def test_without_the_scope_a_page_says_which_one_is_missing(alice: Person, path: str) -> None:
    with transaction() as session:
        _, secret = projects.create_api_key(session, None, "limits only", scopes=["admin:limits:read"])
    with a_browser(alice.base_url) as browser:
        sign_in(browser, secret)
        answer = browser.get(path)
        assert answer.status_code == 403
        assert "admin:" in answer.text
        assert browser.get(f"/projects/{alice.project_id}/budget").status_code == 200


def test_a_projects_key_administers_nothing(alice: Person) -> None:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        for path in (f"/projects/{alice.project_id}/keys", "/operator", "/operator/projects", "/audit"):
            assert browser.get(path).status_code == 403, path
        assert browser.get("/project").status_code == 200
