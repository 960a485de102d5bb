"""/v1/organization/projects/{id}/credentials: a project's own accounts, whose keys go in and never come out."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from standardwebhooks import Webhook

from shared.database import transaction
from shared.datasets.models import Dataset
from shared.jobs.models import Job, TunedModel
from shared.projects import service as projects
from shared.projects.credentials import webhook_secret
from shared.projects.models import Credential
from shared.tables import utc_now
from tests.api.training import train
from tests.worker.levers import change, ids, ready_job
from tests.world import Person, Sandbox, row, step, work

KEY = "sk-of-alices-own-account-wxyz"
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Question 7"}]}


@pytest.fixture
def admin(clean: str) -> Iterator[httpx2.Client]:
    """The operator."""
    with transaction() as session:
        _, secret = projects.create_api_key(session, None, "operator")
    with httpx2.Client(base_url=clean, headers={"authorization": f"Bearer {secret}"}) as admin:
        yield admin


def path(person: Person, *more: str) -> str:
    return "/".join([f"/organization/projects/{person.project_id}/credentials", *more])


def give(admin: httpx2.Client, person: Person, sandbox: Sandbox, key: str = "sk-sandbox", **values: Any) -> str:
    """An account of the person's project at the sandbox, met by the worker."""
    new = {"name": "own", "base_url": f"{sandbox.address}/v1", "api_key": key, **values}
    made: str = admin.post(path(person), json=new).raise_for_status().json()["id"]
    step(Credential, made)
    return made


def test_a_key_goes_in_and_never_comes_out(admin: httpx2.Client, alice: Person) -> None:
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
def test_what_cannot_be_right_is_refused_without_repeating_it(
    admin: httpx2.Client, alice: Person, values: dict[str, Any], param: str
) -> None:
    new = {"name": "own", "base_url": "https://api.openai.com/v1", "api_key": KEY} | values
    answer = admin.post(path(alice), json=new)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert "hidden" not in answer.text
    assert KEY not in answer.text


def test_a_jobs_account_is_the_projects_own_and_needs_no_other(
    admin: httpx2.Client, alice: Person, bob: Person, sandbox: Sandbox
) -> None:
    own = give(admin, alice, sandbox, provider="acme")
    model = train(alice, sandbox).fine_tuned_model
    [job_id] = [job.id for job in alice.openai.fine_tuning.jobs.list()]
    assert ids(Credential) == [own]
    assert row_of(alice, job_id) == (own, "acme")
    for name in ("gpt-4o-mini", model):
        assert alice.http.post("/chat/completions", json={**CHAT, "model": name}).status_code == 200
    assert row_of(bob, bob.create_job())[0] != own


def row_of(person: Person, job_id: str) -> tuple[str, str]:
    found = row(Job, job_id)
    assert person.openai.fine_tuning.jobs.retrieve(job_id).to_dict()["provider"] == found.provider
    return found.credential_id, found.provider


def test_running_jobs_stay_where_they_began_and_what_was_tuned_stays_where_it_is(
    admin: httpx2.Client, alice: Person, sandbox: Sandbox
) -> None:
    tuned = train(alice, sandbox)
    job_id = alice.create_job()
    work(3)
    before = row_of(alice, job_id)
    own = give(admin, alice, sandbox)
    work()
    assert row_of(alice, job_id) == before
    assert row_of(alice, alice.create_job())[0] == own
    assert row_of(alice, alice.create_job(model=tuned.fine_tuned_model)) == before
    model = {**CHAT, "model": tuned.fine_tuned_model}
    assert alice.http.post("/chat/completions", json=model).status_code == 200


def test_a_new_key_counts_at_once_in_the_worker_and_in_chats(
    admin: httpx2.Client, alice: Person, sandbox: Sandbox
) -> None:
    own = give(admin, alice, sandbox)
    job_id = ready_job(alice)
    admin.post(path(alice, own), json={"api_key": "sk-wrong-of-alices-own"}).raise_for_status()
    work(2)
    assert [row(Job, job_id).provider_job_id, alice.http.post("/chat/completions", json=CHAT).status_code] == [
        None,
        502,
    ]
    admin.post(path(alice, own), json={"api_key": "sk-sandbox"}).raise_for_status()
    work()
    assert row(Job, job_id).provider_job_id is not None
    assert alice.http.post("/chat/completions", json=CHAT).status_code == 200


def test_of_several_accounts_the_newest_that_has_the_model_takes_the_job(
    admin: httpx2.Client, alice: Person, sandbox: Sandbox
) -> None:
    older, newer = give(admin, alice, sandbox), give(admin, alice, sandbox)
    assert row_of(alice, alice.create_job())[0] == newer
    change(Credential, newer, base_models=[{"id": "llama", "created": 0, "owned_by": "", "shutdown_date": None}])
    assert row_of(alice, alice.create_job())[0] == older
    assert row_of(alice, alice.create_job(model="llama"))[0] == newer
    names = [model.id for model in alice.openai.models.list()]
    assert "llama" in names
    assert len(names) == len(set(names))


def test_one_that_active_jobs_need_is_not_deleted(admin: httpx2.Client, alice: Person, sandbox: Sandbox) -> None:
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


def test_what_was_made_at_a_deleted_account_can_still_be_deleted_here(
    admin: httpx2.Client, alice: Person, sandbox: Sandbox
) -> None:
    own = give(admin, alice, sandbox)
    job = train(alice, sandbox)
    admin.delete(path(alice, own)).raise_for_status()
    model = str(job.fine_tuned_model)
    assert alice.http.post("/chat/completions", json={**CHAT, "model": model}).status_code == 404
    alice.openai.models.delete(model)
    alice.openai.files.delete(job.training_file)
    work(2)
    for table in (TunedModel, Dataset):
        assert [row(table, id).due_at for id in ids(table) if row(table, id).deleted_at] == [None]


def test_with_the_dialect_of_azure_the_key_goes_in_its_own_header(
    admin: httpx2.Client, alice: Person, sandbox: Sandbox
) -> None:
    own = give(admin, alice, sandbox, dialect="azure")
    assert row(Credential, own).test_error is None
    assert row(Credential, own).provider == "azure"
    assert alice.http.post("/chat/completions", json=CHAT).status_code == 200


def test_a_list_has_pages(admin: httpx2.Client, alice: Person, sandbox: Sandbox) -> None:
    made = [give(admin, alice, sandbox) for _ in range(3)]
    first = admin.get(path(alice), params={"limit": 2}).json()
    assert ([each["id"] for each in first["data"]], first["has_more"]) == (made[:0:-1], True)
    rest = admin.get(path(alice), params={"after": first["last_id"]}).json()
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (made[:1], False)


def test_the_webhook_secret_can_be_named_and_taken_away(admin: httpx2.Client, alice: Person, sandbox: Sandbox) -> None:
    own = give(admin, alice, sandbox)
    for sent, kept in (
        ({"webhook_secret": "whsec_1"}, "whsec_1"),
        ({"name": "x"}, "whsec_1"),
        ({"webhook_secret": None}, None),
    ):
        shown = admin.post(path(alice, own), json=sent).raise_for_status().json()
        assert shown["has_webhook_secret"] is (kept is not None)
        assert webhook_secret(row(Credential, own)) == kept


def test_a_credential_is_found_under_its_own_project_only(
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
    """The id of the deployment's own, known since somebody without one of his own asked for models."""
    person.openai.models.list()
    [default] = [id for id in ids(Credential) if row(Credential, id).project_id is None]
    return default


def test_nobody_elses_chat_or_job_uses_her_account(
    admin: httpx2.Client, alice: Person, bob: Person, sandbox: Sandbox
) -> None:
    own = give(admin, alice, sandbox)
    change(Credential, own, base_models=[{"id": "hers", "created": 0, "owned_by": "", "shutdown_date": None}])
    assert "hers" not in [model.id for model in bob.openai.models.list()]
    assert bob.http.post("/chat/completions", json={**CHAT, "model": "hers"}).status_code == 404
    assert row(Credential, row_of(bob, bob.create_job(model="hers"))[0]).project_id is None


def test_a_repeated_create_makes_one_and_keeps_no_key(admin: httpx2.Client, alice: Person) -> None:
    new = {"name": "own", "base_url": "https://api.openai.com/v1", "api_key": KEY}
    first, again = (admin.post(path(alice), json=new, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.json(), again.headers["Idempotent-Replayed"]) == (again.json(), "true")
    assert len(ids(Credential)) == 1
    other = admin.post(path(alice), json={**new, "api_key": "sk-another"}, headers={"Idempotency-Key": "k"})
    assert other.json()["error"]["code"] == "idempotency_key_reused"


def test_the_providers_webhooks_are_believed_by_the_credentials_own_secret(
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
    """What the provider is answered that tells of a job of nobody."""
    now, body = utc_now(), '{"type": "fine_tuning.job.failed", "data": {"id": "ftjob-x"}}'
    headers = {
        "webhook-id": "wh_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("wh_1", now, body),
    }
    return httpx2.post(
        f"{person.base_url}/provider_webhooks/{credential_id}", content=body, headers=headers
    ).status_code
