"""`Idempotency-Key` on every route: a repeated request is carried out once and its answer replayed."""

import json
from concurrent.futures import ThreadPoolExecutor

from shared.database import transaction
from shared.datasets.models import Dataset, Upload, UploadPart
from shared.idempotency import StoredAnswer
from shared.jobs.models import Job
from shared.projects import service as projects
from shared.projects.models import Project
from shared.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookEvent, WebhookRecovery
from tests.api.keyed_requests import HOOKS, JOBS, KEY, code, is_replay, new_job, post, same, twice, upload
from tests.api.test_health import ask
from tests.api.training import meet_the_base_models, move
from tests.servers import Receiver
from tests.worker.support import calls, endpoint_of, ids, write_event
from tests.world import Person, Sandbox, lines, step, work

ASKING = ("/v1/chat/completions", "/v1/completions", "/v1/responses")


def test_every_post_takes_a_key_except_chats_and_provider_webhooks(server: str) -> None:
    posts = {path: item["post"] for path, item in ask(server, "/openapi.json").json["paths"].items() if "post" in item}
    taking = {path for path, each in posts.items() if KEY in {at["name"] for at in each.get("parameters", [])}}
    assert posts.keys() - taking == {*ASKING, "/v1/provider_webhooks/{credential_id}"}


def test_a_job_is_created_once_and_repeated_requests_about_it_are_replayed(alice: Person, sandbox: Sandbox) -> None:
    file_id = same(*(upload(alice, boundary, purpose="fine-tune") for boundary in "ab"))["id"]
    job_id = twice(alice, JOBS, new_job(file_id))["id"]
    move(alice, sandbox, job_id, "running")
    assert twice(alice, f"{JOBS}/{job_id}/pause")["status"] == "running"
    work(2)
    assert str(twice(alice, f"{JOBS}/{job_id}/resume")["status"]) == "queued"
    twice(alice, f"{JOBS}/{job_id}/cancel")
    assert (ids(Dataset), ids(Job)) == ([file_id], [job_id])


def test_an_upload_is_created_filled_and_completed_once(alice: Person) -> None:
    content = lines()
    new = {"filename": "a", "bytes": len(content), "purpose": "fine-tune", "mime_type": "text/jsonl"}
    upload_id = twice(alice, "/uploads", new)["id"]
    parts = f"/uploads/{upload_id}/parts"
    part_id = same(*(upload(alice, each, parts, name="data", content=content) for each in "ab"))["id"]
    completed = twice(alice, f"/uploads/{upload_id}/complete", {"part_ids": [part_id]})
    assert (ids(Upload), ids(UploadPart), ids(Dataset)) == ([upload_id], [part_id], [completed["file"]["id"]])
    twice(alice, f"/uploads/{post(alice, '/uploads', new, key=None).json['id']}/cancel")


def test_a_dataset_an_event_and_a_project_are_created_once(alice: Person, clean: str) -> None:
    twice(alice, "/datasets", {"examples": [json.loads(line) for line in lines().splitlines()]})
    twice(alice, "/webhook_events", {"event_type": "dataset.failed"})
    with transaction() as session:
        operator = Person(clean, projects.create_api_key(session, None, "operator")[1], "")
    before = len(ids(Project))
    twice(operator, "/organization/projects", {"name": "new"})
    assert (len(ids(Dataset)), len(ids(WebhookEvent)), len(ids(Project))) == (1, 1, before + 1)


def test_an_endpoint_is_created_updated_rotated_and_recovered_once(alice: Person, receiver: Receiver) -> None:
    new = {"name": "a", "url": receiver.url, "event_types": ["fine_tuning.job.cancelled"]}
    endpoint = f"{HOOKS}/{twice(alice, HOOKS, new)['id']}"
    twice(alice, endpoint, {"name": "b"})
    secrets = [twice(alice, f"{endpoint}/rotate_secret")["signing_secret"], post(alice, f"{endpoint}/rotate_secret")]
    assert secrets[0] != secrets[1].json["signing_secret"]
    write_event(alice)
    work()
    [delivery_id] = ids(WebhookDelivery)
    again = f"{endpoint}/deliveries/{delivery_id}/redeliver"
    shown = twice(alice, again)
    work()
    assert post(alice, again, key=again).json == shown  # as it was
    twice(alice, f"{endpoint}/recover", {"since": 0})
    work()
    assert (len(ids(WebhookEndpoint)), len(ids(WebhookRecovery)), len(receiver.received)) == (1, 1, 2)


def test_a_test_event_is_sent_once_and_a_repeat_gets_the_receivers_answer(alice: Person, receiver: Receiver) -> None:
    path, asked = f"{HOOKS}/{endpoint_of(alice, receiver.url)['id']}/test", {"event_type": "dataset.failed"}
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(post, alice, path, asked) for _ in range(2)]
        while not all(each.done() for each in both):
            for delivery_id in ids(WebhookDelivery):
                step(WebhookDelivery, delivery_id)
    for each in (*(each.result() for each in both), post(alice, path, asked)):
        assert each.status == 409 or (each.status, each.json["delivery_id"]) == (200, delivery_id)
    assert is_replay(post(alice, path, asked))
    assert len(receiver.received) == 1
    assert code(post(alice, path, {"event_type": "fine_tuning.job.failed"})) == (400, "idempotency_key_reused")


def test_a_chat_is_sent_each_time_and_the_provider_does_not_see_the_key(alice: Person, sandbox: Sandbox) -> None:
    meet_the_base_models(alice)
    asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Question 7"}]}
    answers = [post(alice, "/chat/completions", asked) for _ in range(2)]
    assert [(answer.status, is_replay(answer)) for answer in answers] == [(200, False)] * 2
    assert (calls(sandbox, "POST /v1/chat/completions"), ids(StoredAnswer)) == (2, [])
