"""/v1/organization/projects/{id}/credentials: a project's own accounts, whose keys are never shown."""

from typing import Any

import httpx2
import pytest
from standardwebhooks import Webhook

from shared.db.times import utc_now
from shared.jobs.models import Job, JobRequest, JobStatus
from shared.jobs.provider_webhooks import webhook_secret
from shared.projects.models import Credential
from tests.api.accounts import admin, give, path, row_of
from tests.worker.support import change, ids
from tests.world import Person, Sandbox, row

__all__ = ["admin"]

KEY = "sk-of-alices-own-account-wxyz"


def test_a_stored_key_is_never_shown(admin: httpx2.Client, alice: Person) -> None:
    new = {"name": "own", "base_url": "https://api.openai.com/v1/", "api_key": KEY, "webhook_secret": "whsec_hers"}
    made = admin.post(path(alice), json=new).raise_for_status()
    shown = made.json()
    expected = {
        "object": "organization.project.credential",
        "project_id": alice.project_id,
        "name": "own",
        "provider": "openai",
        "base_url": "https://api.openai.com/v1",
        "dialect": "openai",
        "redacted_value": "…wxyz",
        "has_webhook_secret": True,
        "last_tested_at": None,
        "last_error": None,
    }
    assert {name: shown[name] for name in expected} == expected
    answers = [made, admin.get(path(alice)), admin.get(path(alice, shown["id"]))]
    answers.append(admin.post(path(alice, shown["id"]), json={"name": "other"}))
    assert [answer.status_code for answer in answers] == [200] * 4
    for answer in answers:
        assert KEY[3:-4] not in answer.text
        assert "whsec_hers" not in answer.text
    stored = row(Credential, shown["id"])
    assert KEY not in f"{stored!r}{stored.model_dump()}"


BAD: list[tuple[dict[str, Any], str]] = [
    ({"base_url": "http://8.8.8.8/v1"}, "base_url"),
    ({"base_url": "https://10.0.0.1/v1"}, "base_url"),
    ({"base_url": "https://169.254.169.254/latest"}, "base_url"),
    ({"base_url": "https://api.openai.com/v1?a=b"}, "base_url"),
    ({"base_url": "https://user:hidden@api.openai.com/v1"}, "base_url"),
    ({"base_url": "ftp://api.openai.com"}, "base_url"),
    ({"api_key": "hidden\nx"}, "api_key"),
    ({"api_key": "hiddenü"}, "api_key"),
    ({"api_key": ""}, "api_key"),
    ({"api_key": "hidden" * 1000}, "api_key"),
    ({"api_key": None}, "api_key"),
    ({"name": " "}, "name"),
    ({"dialect": "hidden"}, "dialect"),
    ({"colour": "hidden"}, "colour"),
]


@pytest.mark.parametrize(("values", "param"), BAD, ids=str)
def test_an_invalid_credential_is_refused_without_repeating_its_values(
    admin: httpx2.Client, alice: Person, values: dict[str, Any], param: str
) -> None:
    new = {"name": "own", "base_url": "https://api.openai.com/v1", "api_key": KEY} | values
    answer = admin.post(path(alice), json=new)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert "hidden" not in answer.text
    assert KEY not in answer.text


def test_a_credential_with_active_jobs_cannot_be_deleted(admin: httpx2.Client, alice: Person, sandbox: Sandbox) -> None:
    own = give(admin, alice, sandbox)
    job_id = alice.create_job()
    refused = admin.delete(path(alice, own))
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "credential_in_use")
    assert f"1 active job ({job_id})" in refused.json()["error"]["message"]
    alice.openai.fine_tuning.jobs.cancel(job_id)
    gone = {"id": own, "object": "organization.project.credential.deleted", "deleted": True}
    assert admin.delete(path(alice, own)).json() == gone
    assert [admin.get(path(alice, own)).status_code, admin.delete(path(alice, own)).status_code] == [404, 404]
    assert admin.get(path(alice)).json()["data"] == []
    stored = row(Credential, own)
    assert (stored.sealed_api_key, stored.sealed_webhook_secret, stored.due_at) == (None, None, None)
    assert row_of(alice, alice.create_job())[0] != own


def test_a_credential_with_a_job_being_cancelled_cannot_be_deleted(
    admin: httpx2.Client, alice: Person, sandbox: Sandbox
) -> None:
    own = give(admin, alice, sandbox)
    job_id = alice.create_job()
    change(Job, job_id, status=JobStatus.FAILED, request=JobRequest.CANCEL, provider_job_id="ftjob-theirs")
    refused = admin.delete(path(alice, own))
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "credential_in_use")


def test_a_list_has_pages(admin: httpx2.Client, alice: Person, sandbox: Sandbox) -> None:
    made = [give(admin, alice, sandbox) for _ in range(3)]
    first = admin.get(path(alice), params={"limit": 2}).json()
    assert ([each["id"] for each in first["data"]], first["has_more"]) == (made[:0:-1], True)
    rest = admin.get(path(alice), params={"after": first["last_id"]}).json()
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (made[:1], False)


def test_the_webhook_secret_can_be_set_and_removed(admin: httpx2.Client, alice: Person, sandbox: Sandbox) -> None:
    own = give(admin, alice, sandbox)
    for sent, kept in (
        ({"webhook_secret": "whsec_1"}, "whsec_1"),
        ({"name": "x"}, "whsec_1"),
        ({"webhook_secret": None}, None),
    ):
        shown = admin.post(path(alice, own), json=sent).raise_for_status().json()
        assert shown["has_webhook_secret"] is (kept is not None)
        assert webhook_secret(row(Credential, own)) == kept


def test_a_credential_is_found_only_under_its_own_project(
    admin: httpx2.Client, alice: Person, bob: Person, sandbox: Sandbox
) -> None:
    hers = give(admin, alice, sandbox)
    for found in (hers, the_deployments(bob), "cred_00000000000000000000000000"):
        answers = [
            admin.get(path(bob, found)),
            admin.post(path(bob, found), json={"name": "his"}),
            admin.post(path(bob, found, "test")),
            admin.delete(path(bob, found)),
            admin.get(path(bob), params={"after": found}),
        ]
        assert [answer.status_code for answer in answers] == [404] * 5
        told = {answer.json()["error"]["message"].replace(found, "{id}") for answer in answers}
        assert told == {"No such credential: {id}"}
    assert admin.get(path(bob)).json()["data"] == []
    assert admin.get(path(alice, hers)).json()["name"] == "own"


def the_deployments(person: Person) -> str:
    """Return the id of the deployment's credential, whose row exists since a project without its own listed models."""
    person.openai.models.list()
    [default] = [id for id in ids(Credential) if row(Credential, id).project_id is None]
    return default


def test_a_repeated_create_makes_one_credential_and_stores_no_plain_key(admin: httpx2.Client, alice: Person) -> None:
    new = {"name": "own", "base_url": "https://api.openai.com/v1", "api_key": KEY}
    first, again = (admin.post(path(alice), json=new, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.json(), again.headers["Idempotent-Replayed"]) == (again.json(), "true")
    assert len(ids(Credential)) == 1
    other = admin.post(path(alice), json={**new, "api_key": "sk-another"}, headers={"Idempotency-Key": "k"})
    assert other.json()["error"]["code"] == "idempotency_key_reused"


def test_the_providers_webhooks_are_verified_with_the_credentials_secret(
    admin: httpx2.Client, alice: Person, sandbox: Sandbox
) -> None:
    own = give(admin, alice, sandbox)
    secret = "whsec_b3duLXNlY3JldC1vZi1hLXByb2plY3QncyBhY2NvdW50"
    assert told(alice, own, secret) == 404
    admin.post(path(alice, own), json={"webhook_secret": secret}).raise_for_status()
    assert told(alice, own, secret) == 200
    assert told(alice, own, "whsec_YW5vdGhlci1zZWNyZXQtYWx0b2dldGhlci1ub3QtdGhpcw==") == 401
    admin.delete(path(alice, own)).raise_for_status()
    assert told(alice, own, secret) == 404


def told(person: Person, credential_id: str, secret: str) -> int:
    """Send a provider webhook about an unknown job, and return the status of the answer."""
    now, body = utc_now(), '{"type": "fine_tuning.job.failed", "data": {"id": "ftjob-x"}}'
    headers = {
        "webhook-id": "wh_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("wh_1", now, body),
    }
    return httpx2.post(
        f"{person.base_url}/provider_webhooks/{credential_id}", content=body, headers=headers
    ).status_code


APPLICATION = dict.fromkeys(("tenant_id", "client_id", "subscription_id", "resource_group", "account"), "one-1")
AZURE = {"name": "own", "base_url": "https://a.openai.azure.com/openai/v1", "api_key": KEY, "dialect": "azure"}


def test_an_application_is_shown_and_its_secret_is_not(admin: httpx2.Client, alice: Person) -> None:
    made = admin.post(path(alice), json={**AZURE, "options": APPLICATION}).raise_for_status()
    assert made.json()["options"] == APPLICATION
    assert KEY not in made.text
    changed = {**APPLICATION, "account": "another"}
    shown = admin.post(path(alice, made.json()["id"]), json={"options": changed}).raise_for_status().json()
    assert (shown["options"], shown["redacted_value"]) == (changed, "…wxyz")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"tenant_id": "one"}, "client_id"),
        ({**APPLICATION, "tenant_id": ".."}, "tenant_id"),
        ({**APPLICATION, "tenant_id": "a/b"}, "tenant_id"),
        ({**APPLICATION, "account": "a?b"}, "account"),
        ({**APPLICATION, "account": ""}, "account"),
        ({**APPLICATION, "login_url": "http://169.254.169.254"}, "login_url"),
        ({**APPLICATION, "client_secret": "s"}, "client_secret"),
        ({**APPLICATION, "account": 5}, "account"),
        (["tenant_id"], "options"),
    ],
    ids=str,
)
def test_wrong_options_are_refused_by_name(admin: httpx2.Client, alice: Person, options: Any, named: str) -> None:
    refused = admin.post(path(alice), json={**AZURE, "options": options})
    assert refused.status_code == 400
    assert named in refused.json()["error"]["message"]
    made = admin.post(path(alice), json=AZURE).raise_for_status().json()
    assert admin.post(path(alice, made["id"]), json={"options": options}).status_code == 400


def test_another_dialect_takes_no_options(admin: httpx2.Client, alice: Person) -> None:
    refused = admin.post(path(alice), json={**AZURE, "dialect": "openai", "options": APPLICATION})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "options")


@pytest.mark.parametrize(
    ("dialect", "base_url"),
    [
        ("openai", "https://api.openai.com/v1"),
        ("nebius", "https://api.tokenfactory.nebius.com/v1"),
        ("together", "https://api.together.ai/v1"),
        ("azure", None),
        ("fireworks", None),
    ],
)
def test_an_address_that_all_accounts_share_may_be_left_out(
    admin: httpx2.Client, alice: Person, dialect: str, base_url: str | None
) -> None:
    answer = admin.post(path(alice), json={"name": "own", "api_key": KEY, "dialect": dialect})
    if base_url is None:
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "base_url")
    else:
        assert answer.raise_for_status().json()["base_url"] == base_url
