"""What happens is told once each, with the object as the API gives it then, in the transaction in which it happens."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from shared.database import transaction
from shared.datasets.models import Dataset
from shared.datasets.validation.rules import fitness
from shared.db.times import epoch, utc_now
from shared.jobs.elsewhere import retirement
from shared.jobs.models import Job, TunedModel
from shared.projects import service as projects
from shared.projects.key_schemas import ApiKeyPublic
from shared.projects.models import ApiKey, Credential
from shared.webhooks import service as webhooks
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookDelivery, WebhookEvent
from tests.api.training import meet_the_base_models, model_of, train
from tests.servers import closed_port
from tests.worker.support import change, endpoint_of, ids, ready_job, running_job, step_killed_before_record, step_while
from tests.world import Person, Sandbox, lines, row, step
from worker.datasets import dataset_step
from worker.jobs import job_step
from worker.runtime.scheduler import tidy


def events(person: Person, **query: Any) -> list[Any]:
    """What has happened, the oldest first."""
    listed = person.http.get("/webhook_events", params={"limit": 100, **query}).raise_for_status().json()["data"]
    return [(event["type"], event["data"]) for event in listed][::-1]


def types(person: Person, **query: Any) -> list[str]:
    return [type.removeprefix("fine_tuning.job.") for type, _ in events(person, **query)]


def job_of(person: Person, job_id: str) -> Any:
    return person.http.get(f"/fine_tuning/jobs/{job_id}").raise_for_status().json()


@pytest.mark.parametrize("end", ["succeeded", "failed"])
def test_a_jobs_life_is_told_with_the_job_as_it_is_then(alice: Person, sandbox: Sandbox, end: str) -> None:
    job_id = ready_job(alice)
    assert events(alice, object=job_id) == [("fine_tuning.job.created", job_of(alice, job_id))]
    step(Job, job_id)
    theirs = row(Job, job_id).provider_job_id
    for status in ("queued", "running", "paused", "running", end):
        sandbox.move(theirs, status=status)
        step(Job, job_id)
        assert events(alice, object=job_id)[-1] == (f"fine_tuning.job.{status}", job_of(alice, job_id))
    told = types(alice, object=job_id)
    assert [type for type in told if type != "progressed"] == ["created", "queued", "running", "paused", "running", end]


def test_a_cancel_is_told_once(alice: Person) -> None:
    job_id = alice.create_job()
    for _ in range(2):
        alice.http.post(f"/fine_tuning/jobs/{job_id}/cancel")
    assert types(alice, object=job_id) == ["created", "cancelled"]
    assert events(alice, object=job_id)[-1][1] == job_of(alice, job_id)


def test_each_tenth_of_the_progress_is_told_once_however_many_a_look_sees(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox, hyperparameters={"n_epochs": 5, "batch_size": 3})  # 20 steps
    told = []
    for step_number in (1, 2, 3, 9, 9, 10, 20):
        sandbox.move(theirs, step=step_number)
        step(Job, job_id)
        found = events(alice, type="fine_tuning.job.progressed")
        told.append([data["progress"] for _, data in found])
        assert not found or found[-1][1]["id"] == job_id
    assert told == [[], [0.1], [0.1], [0.1, 0.45], [0.1, 0.45], [0.1, 0.45, 0.5], [0.1, 0.45, 0.5, 1.0]]


def test_a_job_that_is_seen_to_run_and_to_progress_at_once_is_told_as_it_is(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    step(Job, job_id)
    sandbox.move(row(Job, job_id).provider_job_id, status="running", step=18)
    step(Job, job_id)
    told = [(type, data["status"]) for type, data in events(alice, object=job_id)[-2:]]
    assert told == [("fine_tuning.job.running", "running"), ("fine_tuning.job.progressed", "running")]
    assert events(alice, object=job_id)[-1][1] == job_of(alice, job_id)


def test_a_look_that_finds_nothing_new_tells_nothing(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    sandbox.move(theirs, step=5)
    step(Job, job_id)
    before = events(alice)
    for _ in range(2):
        step(Job, job_id)
    assert events(alice) == before


def test_each_checkpoint_is_told_once_as_it_is_listed(alice: Person, sandbox: Sandbox) -> None:
    job = train(alice, sandbox)
    told = [data for _, data in events(alice, type="fine_tuning.job.checkpoint_created")]
    listed = alice.http.get(f"/fine_tuning/jobs/{job.id}/checkpoints").json()["data"]
    assert len(listed) > 1
    assert sorted(told, key=lambda each: each["step_number"]) == listed[::-1]


def test_a_worker_that_dies_before_it_records_has_told_nothing(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    sandbox.move(theirs, status="succeeded")
    step_killed_before_record(job_step.advance, job_id)
    assert "succeeded" not in types(alice, object=job_id)
    step(Job, job_id)
    assert types(alice, object=job_id).count("succeeded") == 1


def test_what_is_rolled_back_is_told_to_nobody(alice: Person) -> None:
    endpoint_of(alice, f"http://127.0.0.1:{closed_port()}/")
    with suppress(ZeroDivisionError), transaction() as session:
        webhooks.write_event(session, alice.project_id, EventType.JOB_CANCELLED, {"id": "ftjob-1"})
        session.flush()
        raise ZeroDivisionError
    assert (ids(WebhookEvent), ids(WebhookDelivery)) == ([], [])


@pytest.mark.parametrize(("content", "outcome"), [(lines(), "processed"), (b"{}\n" * 12, "failed")])
def test_the_outcome_of_a_datasets_check_is_told_once(alice: Person, content: bytes, outcome: str) -> None:
    file_id = alice.upload(content)
    assert events(alice) == []
    step(Dataset, file_id)
    assert events(alice) == [(f"dataset.{outcome}", alice.http.get(f"/datasets/{file_id}").json())]
    step(Dataset, file_id)
    assert len(events(alice)) == 1


def test_a_dataset_that_could_not_be_made_has_failed(alice: Person) -> None:
    nobody = f"http://127.0.0.1:{closed_port()}/train.jsonl"
    dataset_id = alice.http.post("/datasets", json={"url": nobody}).raise_for_status().json()["id"]
    for _ in range(20):
        step(Dataset, dataset_id)
    assert events(alice) == [("dataset.failed", alice.http.get(f"/datasets/{dataset_id}").json())]


def test_of_a_dataset_that_is_deleted_while_it_is_checked_nothing_is_told(alice: Person) -> None:
    file_id = alice.upload()
    step_while(dataset_step.advance, file_id, lambda: alice.openai.files.delete(file_id))
    step(Dataset, file_id)
    assert events(alice) == []


def test_the_end_of_a_model_is_told_once_for_each_date(alice: Person, bob: Person, sandbox: Sandbox) -> None:
    model = model_of(train(alice, sandbox))
    meet_the_base_models(alice)
    [credential_id] = ids(Credential)
    bases = row(Credential, credential_id).base_models
    announced = []
    for date in (None, "2027-06-30", "2027-06-30", "2027-09-30"):
        models = [{**base, "object": "model", "shutdown_date": date} for base in bases]
        sandbox.arm("GET", "/v1/models", status=200, body={"object": "list", "data": models})
        step(Credential, credential_id)
        announced.append([data for _, data in events(alice, type="model.shutdown_scheduled", object=model)])
    first = announced[0]
    assert [len(told) - len(first) for told in announced] == [0, 1, 1, 2]
    last = announced[-1][-1]
    assert alice.http.get(f"/models/{model}").json().items() <= last.items()
    assert last["days_left"] > 90
    assert {each["shutdown_date"] for each in last["alternatives"]} == {"2027-09-30"}
    assert events(bob) == []


@pytest.mark.parametrize(
    ("days_left", "told_before", "told_now"),
    [(5, None, 1), (5, 30, 1), (5, 7, 0), (20, 90, 1), (20, 30, 0), (80, None, 1), (80, 90, 0), (200, None, 0)],
)
def test_of_the_end_of_a_model_its_project_is_reminded_once(
    alice: Person, sandbox: Sandbox, days_left: int, told_before: int | None, told_now: int
) -> None:
    model = model_of(train(alice, sandbox))
    meet_the_base_models(alice)
    [credential_id], [model_id] = ids(Credential), ids(TunedModel)
    base = row(TunedModel, model_id).base_model
    date = (fitness.today() + timedelta(days=days_left)).isoformat()
    change(TunedModel, model_id, shutdown_date_notified=date, shutdown_reminder=told_before)
    bases = row(Credential, credential_id).base_models
    dated = [{**each, "object": "model", "shutdown_date": date if each["id"] == base else None} for each in bases]
    sandbox.arm("GET", "/v1/models", status=200, body={"object": "list", "data": dated}, times=2)
    before = len(events(alice, type="model.shutdown_scheduled", object=model))
    for _ in range(2):
        step(Credential, credential_id)
    told = [data for _, data in events(alice, type="model.shutdown_scheduled", object=model)][before:]
    assert len(told) == told_now
    for data in told:
        assert data["days_left"] == days_left
        assert 0 < len(data["alternatives"]) <= 5
        assert base not in [each["model"] for each in data["alternatives"]]


def test_the_ends_of_many_models_are_told_in_several_transactions(
    alice: Person, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retirement, "MAX_TOLD", 1)
    models = {model_of(train(alice, sandbox)) for _ in range(2)}
    [credential_id] = ids(Credential)
    with transaction() as session:
        credential = session.get_one(Credential, credential_id)
        bases = {each.base_model for each in session.exec(select(TunedModel))}
        date = (fitness.today() + timedelta(days=200)).isoformat()
        credential.base_models = [{"id": base, "shutdown_date": date} for base in bases]
    told = []
    for _ in range(3):
        with transaction() as session:
            retirement.tell(session, session.get_one(Credential, credential_id))
        told.append([data["id"] for _, data in events(alice, type="model.shutdown_scheduled")])
    assert [len(each) for each in told] == [1, 2, 2]
    assert set(told[-1]) == models


def test_a_key_that_will_expire_is_told_of_a_week_before_and_once(alice: Person, bob: Person) -> None:
    now = utc_now()
    with transaction() as session:
        soon, secret = projects.create_api_key(
            session, alice.project_id, "build server", expires_at=now + timedelta(days=6.9)
        )
        projects.create_api_key(session, alice.project_id, "later", expires_at=now + timedelta(days=7.1))
        projects.create_api_key(session, None, "operator", expires_at=now + timedelta(days=1))
        revoked, _ = projects.create_api_key(session, alice.project_id, "gone", expires_at=now + timedelta(days=1))
        revoked.revoked_at = now
    for _ in range(2):
        tidy()
    [(type, data)] = events(alice)
    assert (type, data) == ("api_key.expiring", ApiKeyPublic.of(row(ApiKey, soon.id), None).model_dump())
    assert (data["id"], data["name"], data["expires_at"]) == (soon.id, "build server", epoch(now + timedelta(days=6.9)))
    assert secret not in str(data)
    assert data["redacted_value"].endswith(secret[-4:])
    assert events(bob) == []


def test_an_event_and_its_deliveries_are_there_together(alice: Person) -> None:
    for _ in range(2):
        endpoint_of(alice, f"http://127.0.0.1:{closed_port()}/", "fine_tuning.job.created")
    job_id = alice.create_job()
    with transaction() as session:
        made = session.exec(select(WebhookEvent.object_id).join(WebhookDelivery)).all()
    assert made == [job_id] * 2
