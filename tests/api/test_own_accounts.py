"""Which credential a job or a chat uses: the project's own before the deployment's."""

import httpx2

from shared.datasets.models import Dataset
from shared.jobs.models import Job, TunedModel
from shared.projects.models import Credential
from tests.api.accounts import CHAT, admin, give, path, row_of
from tests.api.training import meet_the_base_models, train
from tests.worker.support import change, ids, ready_job
from tests.world import Person, Sandbox, row, work

__all__ = ["admin"]


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


def test_the_newest_account_that_has_the_model_gets_the_job(
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


def test_no_other_projects_chat_or_job_uses_a_projects_account(
    admin: httpx2.Client, alice: Person, bob: Person, sandbox: Sandbox
) -> None:
    own = give(admin, alice, sandbox)
    change(Credential, own, base_models=[{"id": "hers", "created": 0, "owned_by": "", "shutdown_date": None}])
    assert "hers" not in [model.id for model in bob.openai.models.list()]
    assert bob.http.post("/chat/completions", json={**CHAT, "model": "hers"}).status_code == 404
    assert row(Credential, row_of(bob, bob.create_job(model="hers"))[0]).project_id is None


def test_a_new_account_is_used_before_its_models_are_known(
    admin: httpx2.Client, alice: Person, sandbox: Sandbox
) -> None:
    meet_the_base_models(alice)
    assert alice.http.post("/chat/completions", json=CHAT).status_code == 200
    give(admin, alice, sandbox, meet=False)
    assert alice.http.post("/chat/completions", json=CHAT).status_code == 200
    unknown = alice.http.post("/chat/completions", json={**CHAT, "model": "gpt-never"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")


def test_a_new_account_does_not_offer_another_accounts_models(
    admin: httpx2.Client, alice: Person, bob: Person, sandbox: Sandbox
) -> None:
    job = train(alice, sandbox)
    give(admin, bob, sandbox, meet=False)
    for model in (job.fine_tuned_model, str(job.fine_tuned_model).replace("ft:", "FT:", 1)):
        refused = bob.http.post("/chat/completions", json={**CHAT, "model": model})
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
    change(TunedModel, ids(TunedModel)[0], name="llama-of-alice")
    before = sandbox.http.get("/sandbox/requests").json()
    refused = bob.http.post("/chat/completions", json={**CHAT, "model": "llama-of-alice"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
    assert sandbox.http.get("/sandbox/requests").json() == before
