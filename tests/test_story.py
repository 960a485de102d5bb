"""End to end with real processes killed at the worst moments: nothing is lost, and nothing is created twice."""

from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from tests.installation import KEY, Deployment, database, deployed, person_of
from tests.servers import Receiver, until
from tests.world import Person, Sandbox, lines

JOBS, FILES = "/v1/fine_tuning/jobs", "/v1/files"
ENDS = ["fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled"]


@pytest.fixture(scope="module")
def deployment(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with (
        database(postgres_url) as database_url,
        deployed(database_url, tmp_path_factory.mktemp("story")) as deployment,
    ):
        yield deployment


@pytest.fixture
def provider(deployment: Deployment) -> Iterator[Sandbox]:
    """The sandbox, emptied."""
    sandbox = Sandbox(f"http://127.0.0.1:{deployment.sandbox_port}", KEY)
    sandbox.reset()
    yield sandbox
    sandbox.close()


@pytest.fixture
def alice(deployment: Deployment) -> Iterator[Person]:
    """Has the first project's key and a client with a timeout of 1.5 seconds."""
    with person_of(deployment) as alice:
        alice.openai.timeout = 1.5
        yield alice


def succeeds(person: Person, job_id: str) -> Any:
    """Waits until the job has succeeded, and returns it."""
    until(lambda: person.openai.fine_tuning.jobs.retrieve(job_id).status == "succeeded", f"the success of {job_id}")
    return person.openai.fine_tuning.jobs.retrieve(job_id)


def test_a_file_becomes_a_model_and_the_webhook_can_be_believed(
    alice: Person, provider: Sandbox, receiver: Receiver
) -> None:
    new = {"name": "story", "url": receiver.url, "event_types": ENDS}
    secret = alice.http.post("/webhook_endpoints", json=new).raise_for_status().json()["signing_secret"]
    file = alice.openai.files.create(file=("train.jsonl", lines()), purpose="fine-tune")
    job_id = alice.openai.fine_tuning.jobs.create(model="gpt-4o-mini", training_file=file.id, suffix="story").id
    job = succeeds(alice, job_id)
    until(lambda: len(receiver.received) > 0, "the webhook")
    ((headers, body),) = receiver.received
    event: Any = OpenAI(api_key="-", webhook_secret=secret).webhooks.unwrap(body, headers)
    assert (event.type, event.data.id) == ("fine_tuning.job.succeeded", job_id)
    question: Any = [{"role": "user", "content": "Question 7"}]
    answer = alice.openai.chat.completions.create(model=job.fine_tuned_model, messages=question)
    assert answer.choices[0].message.content == "Answer 7"
    events = alice.openai.fine_tuning.jobs.list_events(job_id, limit=100)
    messages = [event.message for event in events if event.level == "info"]  # before 2027-01-14 there is a warning
    assert messages[0] == "The job has successfully completed"
    [created, accepted] = [message for message in messages if "slot" not in message][-2:]
    assert created == f"Created fine-tuning job: {job_id}"
    assert accepted.startswith("Job accepted: ")


def test_a_worker_that_is_killed_between_the_create_and_its_record_leaves_one_job(
    deployment: Deployment, alice: Person, provider: Sandbox
) -> None:
    provider.arm("POST", JOBS, delay_after=60)
    job_id = alice.create_job()
    until(lambda: len(provider.jobs()) == 1, "the create")
    deployment.kill("worker")
    assert alice.http.get(f"/fine_tuning/jobs/{job_id}").json()["provider_job_id"] is None
    deployment.start("worker")
    succeeds(alice, job_id)
    (job,) = provider.jobs()
    assert alice.http.get(f"/fine_tuning/jobs/{job_id}").json()["provider_job_id"] == job.id


def test_a_worker_that_is_killed_during_the_upload_leaves_one_file(
    deployment: Deployment, alice: Person, provider: Sandbox
) -> None:
    provider.arm("POST", FILES, delay_after=60)
    job_id = alice.create_job()
    until(lambda: len(provider.files()) == 1, "the upload")
    deployment.kill("worker")
    deployment.start("worker")
    succeeds(alice, job_id)
    (job,), (file,) = provider.jobs(), provider.files()
    assert job.training_file == file.id


def test_without_redis_a_job_is_accepted_at_once_and_done_when_redis_is_back(
    deployment: Deployment, alice: Person, provider: Sandbox
) -> None:
    worker = deployment.running["worker"]
    deployment.kill("redis")
    job_id = alice.create_job()  # within the client's timeout
    assert alice.openai.fine_tuning.jobs.retrieve(job_id).status == "validating_files"
    deployment.start_redis()  # empty: every message that was in it is lost
    succeeds(alice, job_id)
    assert worker.is_alive
    assert len(provider.jobs()) == 1
