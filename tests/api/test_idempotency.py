"""`Idempotency-Key`: what is sent again under its key is answered as before, and done once."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from sqlalchemy import text

from shared.database import get_engine, transaction
from shared.datasets.models import Dataset, Upload, UploadPart
from shared.db.times import utc_now
from shared.idempotency import StoredAnswer
from shared.jobs.models import Job
from shared.projects import service as projects
from shared.projects.models import Project
from shared.settings import get_settings
from shared.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookEvent, WebhookRecovery
from tests.api.conftest import running_under
from tests.api.test_health import ask
from tests.api.training import meet_the_base_models, move
from tests.api.wire import END, Answer, part, send
from tests.servers import Receiver
from tests.worker.levers import calls, change, endpoint_of, happen, ids
from tests.world import Person, Sandbox, lines, row, step, work
from worker.runtime.scheduler import tidy

KEY = "Idempotency-Key"
JOBS, HOOKS = "/fine_tuning/jobs", "/webhook_endpoints"
JSON = "application/json"
ENDPOINT = {"name": "a", "url": "https://example.com/hook", "event_types": ["fine_tuning.job.succeeded"]}


def post(person: Person, path: str, body: Any = None, key: str | None = "k", **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    return send(person, "POST", path, raw, {**({KEY: key} if key is not None else {}), **headers})


def form(boundary: str, name: str = "file", content: bytes = b"", **fields: str) -> dict[str, Any]:
    """A form as a client writes it: with a new boundary each time."""
    parts = [part(field, value.encode()) for field, value in fields.items()]
    body = b"".join([*parts, part(name, content or lines(), "a.jsonl")]) + END
    return {
        "body": body.replace(b"the-boundary", boundary.encode()),
        "content_type": f"multipart/form-data; boundary={boundary}",
    }


def upload(person: Person, boundary: str, path: str = "/files", key: str = "k", **parts: Any) -> Answer:
    sent = form(boundary, **parts)
    return send(person, "POST", path, sent["body"], {"content-type": sent["content_type"], KEY: key})


def new_job(file_id: str, **values: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "training_file": file_id, **values}


def is_replay(answer: Answer) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.error["code"]


def same(first: Answer, again: Answer) -> Any:
    """What both answer, of which the second is a replay."""
    assert (again.status, again.body) == (first.status, first.body) == (200, first.body), again.text
    assert again.headers["content-type"] == first.headers["content-type"] == JSON
    assert (is_replay(first), is_replay(again)) == (False, True)
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    return again.json


def twice(person: Person, path: str, body: Any = None) -> Any:
    return same(*(post(person, path, body, key=path) for _ in range(2)))


def test_every_post_takes_a_key_but_chats_and_what_a_provider_tells(server: str) -> None:
    posts = {path: item["post"] for path, item in ask(server, "/openapi.json").json["paths"].items() if "post" in item}
    taking = {path for path, each in posts.items() if KEY in {at["name"] for at in each.get("parameters", [])}}
    assert posts.keys() - taking == {"/v1/chat/completions", "/v1/provider_webhooks/{credential_id}"}


def test_a_job_is_made_once_and_each_request_about_it_is_answered_as_before(alice: Person, sandbox: Sandbox) -> None:
    file_id = same(*(upload(alice, boundary, purpose="fine-tune") for boundary in "ab"))["id"]
    job_id = twice(alice, JOBS, new_job(file_id))["id"]
    move(alice, sandbox, job_id, "running")
    assert twice(alice, f"{JOBS}/{job_id}/pause")["status"] == "running"
    work(2)
    assert str(twice(alice, f"{JOBS}/{job_id}/resume")["status"]) == "paused"
    twice(alice, f"{JOBS}/{job_id}/cancel")
    assert (ids(Dataset), ids(Job)) == ([file_id], [job_id])


def test_an_upload_is_begun_filled_and_ended_once(alice: Person) -> None:
    content = lines()
    new = {"filename": "a", "bytes": len(content), "purpose": "fine-tune", "mime_type": "text/jsonl"}
    upload_id = twice(alice, "/uploads", new)["id"]
    parts = f"/uploads/{upload_id}/parts"
    part_id = same(*(upload(alice, each, parts, name="data", content=content) for each in "ab"))["id"]
    completed = twice(alice, f"/uploads/{upload_id}/complete", {"part_ids": [part_id]})
    assert (ids(Upload), ids(UploadPart), ids(Dataset)) == ([upload_id], [part_id], [completed["file"]["id"]])
    twice(alice, f"/uploads/{post(alice, '/uploads', new, key=None).json['id']}/cancel")


def test_a_dataset_an_event_and_a_project_are_made_once(alice: Person, clean: str) -> None:
    twice(alice, "/datasets", {"examples": [json.loads(line) for line in lines().splitlines()]})
    twice(alice, "/webhook_events", {"event_type": "dataset.failed"})
    with transaction() as session:
        operator = Person(clean, projects.create_api_key(session, None, "operator")[1], "")
    before = len(ids(Project))
    twice(operator, "/organization/projects", {"name": "new"})
    assert (len(ids(Dataset)), len(ids(WebhookEvent)), len(ids(Project))) == (1, 1, before + 1)


def test_an_endpoint_is_made_changed_and_mended_once(alice: Person, receiver: Receiver) -> None:
    new = {"name": "a", "url": receiver.url, "event_types": ["fine_tuning.job.cancelled"]}
    endpoint = f"{HOOKS}/{twice(alice, HOOKS, new)['id']}"
    twice(alice, endpoint, {"name": "b"})
    secrets = [twice(alice, f"{endpoint}/rotate_secret")["signing_secret"], post(alice, f"{endpoint}/rotate_secret")]
    assert secrets[0] != secrets[1].json["signing_secret"]
    happen(alice)
    work()
    [delivery_id] = ids(WebhookDelivery)
    again = f"{endpoint}/deliveries/{delivery_id}/redeliver"
    shown = twice(alice, again)
    work()
    assert post(alice, again, key=again).json == shown  # as it was
    twice(alice, f"{endpoint}/recover", {"since": 0})
    work()
    assert (len(ids(WebhookEndpoint)), len(ids(WebhookRecovery)), len(receiver.received)) == (1, 1, 2)


def test_a_test_is_sent_once_and_who_asks_again_gets_what_the_receiver_said(alice: Person, receiver: Receiver) -> None:
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


@contextmanager
def losing_the_first_answer(server: str) -> Iterator[str]:
    """A way to the api on which the first answer is lost, after all has been done; its address."""
    came: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = httpx2.post(server.removesuffix("/v1") + self.path, content=body, headers=dict(self.headers))
            came.append(self.path)
            if len(came) == 1:
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.server_port}/v1"
        listener.shutdown()
    assert len(came) == 2


def repeating(person: Person, address: str) -> OpenAI:
    """The SDK as it is delivered: it sends again what was not answered."""
    return OpenAI(base_url=address, api_key=person.api_key, max_retries=1)


def test_the_sdk_repeats_a_job_whose_answer_was_lost_and_gets_that_job(alice: Person) -> None:
    file_id = alice.upload()
    with losing_the_first_answer(alice.base_url) as address, repeating(alice, address) as client:
        job = client.fine_tuning.jobs.create(**new_job(file_id), extra_headers={KEY: "my job"})
    assert ids(Job) == [job.id]


def test_the_sdk_sends_a_key_by_itself_once_it_is_told_the_headers_name(alice: Person) -> None:
    with losing_the_first_answer(alice.base_url) as address, repeating(alice, address) as client:
        client._idempotency_header = KEY
        file = client.files.create(file=("train.jsonl", lines()), purpose="fine-tune")
    assert ids(Dataset) == [file.id]


@contextmanager
def answers_held() -> Iterator[None]:
    """A request with a key does its work, comes as far as storing its answer, and no further."""
    with get_engine().begin() as connection:
        connection.execute(text("lock table stored_answers in exclusive mode"))
        yield


def wait_until_held() -> None:
    query = text("select count(*) from pg_locks where relation = 'stored_answers'::regclass and not granted")
    deadline = time.monotonic() + 20
    with get_engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.execute(query).scalar_one():
            assert time.monotonic() < deadline, "no answer is waiting to be stored"
            time.sleep(0.01)


def test_while_it_is_under_way_the_same_is_refused_and_the_sdk_asks_again(alice: Person) -> None:
    new = new_job(alice.upload())
    with ThreadPoolExecutor(1) as pool:
        with answers_held():
            first: Future[Answer] = pool.submit(post, alice, JOBS, new)
            wait_until_held()
            refused = post(alice, JOBS, new)
            assert code(refused) == (409, "idempotency_key_in_use")
            assert refused.headers["x-should-retry"] == "true"
            assert ids(Job) == []
        job_id = first.result().json["id"]
    again = alice.openai.with_options(max_retries=3).fine_tuning.jobs.create(**new, extra_headers={KEY: "k"})
    assert ids(Job) == [again.id] == [job_id]


def test_twenty_at_once_make_one_job(alice: Person) -> None:
    new = new_job(alice.upload())
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: post(alice, JOBS, new), range(20)))
    done = [answer for answer in answers if answer.status == 200]
    assert [is_replay(answer) for answer in done].count(False) == 1
    assert {answer.json["id"] for answer in done} == set(ids(Job))
    assert {code(answer) for answer in answers if answer.status != 200} <= {(409, "idempotency_key_in_use")}
    assert post(alice, JOBS, new).json["id"] == ids(Job)[0]


def test_an_api_that_is_killed_between_the_work_and_its_answer_has_done_nothing(alice: Person) -> None:
    new = new_job(alice.upload())
    with running_under() as (address, process), ThreadPoolExecutor(1) as pool:
        with answers_held():
            there = Person(address, alice.api_key, alice.project_id)
            lost = pool.submit(post, there, JOBS, new)
            wait_until_held()
            process.kill()
            assert lost.exception(10)
        there.close()
    job = alice.openai.with_options(max_retries=5).fine_tuning.jobs.create(**new, extra_headers={KEY: "k"})
    assert ids(Job) == [job.id]
    assert is_replay(post(alice, JOBS, new))


def test_work_whose_answer_cannot_be_stored_is_undone(alice: Person) -> None:
    new, terminate = new_job(alice.upload()), "select pg_terminate_backend(pid) from pg_locks where not granted"
    with ThreadPoolExecutor(1) as pool, answers_held():
        failed = pool.submit(post, alice, JOBS, new)
        wait_until_held()
        with get_engine().begin() as connection:
            connection.execute(text(terminate))
        assert code(failed.result()) == (503, "database_unavailable")
    assert ids(Job) == []
    job_id = post(alice, JOBS, new).json["id"]
    assert ids(Job) == [job_id]


def test_a_chat_is_asked_each_time_and_the_provider_does_not_see_the_key(alice: Person, sandbox: Sandbox) -> None:
    meet_the_base_models(alice)
    asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Question 7"}]}
    answers = [post(alice, "/chat/completions", asked) for _ in range(2)]
    assert [(answer.status, is_replay(answer)) for answer in answers] == [(200, False)] * 2
    assert (calls(sandbox, "POST /v1/chat/completions"), ids(StoredAnswer)) == (2, [])


def test_a_key_is_for_one_request_only(alice: Person) -> None:
    file_id = alice.upload()
    job_id = post(alice, JOBS, new_job(file_id)).json["id"]
    for answer in (
        post(alice, JOBS, new_job(file_id, suffix="b")),
        post(alice, f"{JOBS}?a=b", new_job(file_id)),
        post(alice, HOOKS, ENDPOINT),
        post(alice, f"{JOBS}/{job_id}/cancel"),
        upload(alice, "a", purpose="fine-tune"),
    ):
        assert code(answer) == (400, "idempotency_key_reused")
        assert answer.error["param"] == KEY
    assert (ids(Job), row(Job, job_id).status, ids(Dataset)) == ([job_id], "validating_files", [file_id])


def test_a_file_is_another_one_if_its_bytes_its_name_or_a_field_is(alice: Person) -> None:
    upload(alice, "a", purpose="fine-tune")
    assert code(upload(alice, "b", purpose="fine-tune", content=lines(13))) == (400, "idempotency_key_reused")
    assert code(upload(alice, "b", purpose="batch")) == (400, "idempotency_key_reused")
    renamed = form("b", purpose="fine-tune")["body"].replace(b"a.jsonl", b"b.jsonl")
    headers = {"content-type": "multipart/form-data; boundary=b", KEY: "k"}
    assert code(send(alice, "POST", "/files", renamed, headers)) == (400, "idempotency_key_reused")
    assert len(ids(Dataset)) == 1


def test_another_projects_same_key_is_another_key(alice: Person, bob: Person) -> None:
    hers, his = (post(person, HOOKS, ENDPOINT) for person in (alice, bob))
    assert (hers.status, his.status, is_replay(his)) == (200, 200, False)
    assert hers.json["id"] != his.json["id"]
    assert post(bob, HOOKS, ENDPOINT).body == his.body


def test_a_key_of_one_admin_means_nothing_to_another_nor_to_a_project(alice: Person, clean: str) -> None:
    with transaction() as session:
        secrets = [projects.create_api_key(session, None, name)[1] for name in "ab"]
    first, second = (Person(clean, secret, "") for secret in secrets)
    path, new = "/organization/projects", {"name": "new"}
    assert code(post(alice, path, new)) == (403, "insufficient_permissions")
    assert same(post(first, path, new), post(first, path, new))["name"] == "new"
    assert not is_replay(post(second, path, new))


def test_a_refused_request_is_not_kept_so_that_it_may_be_mended_under_its_key(alice: Person) -> None:
    file_id = alice.upload()
    assert code(post(alice, JOBS, new_job("file-never"))) == (404, "not_found")
    assert code(post(alice, JOBS, {"model": 7})) == (400, "invalid_value")
    assert ids(StoredAnswer) == []
    assert not is_replay(post(alice, JOBS, new_job(file_id)))
    stranger = Person(alice.base_url, "sk-tun-unknown", alice.project_id)
    assert code(post(stranger, JOBS, new_job(file_id))) == (401, "invalid_api_key")


def test_after_a_day_a_key_is_free_again(alice: Person) -> None:
    first = post(alice, HOOKS, ENDPOINT)
    [answer_id] = ids(StoredAnswer)
    change(StoredAnswer, answer_id, created_at=utc_now() - get_settings().idempotency_lifetime)
    second = post(alice, HOOKS, {**ENDPOINT, "name": "other"})
    assert (second.status, is_replay(second)) == (200, False)
    assert second.json["id"] != first.json["id"]
    assert post(alice, HOOKS, {**ENDPOINT, "name": "other"}).body == second.body
    assert ids(StoredAnswer) == [answer_id]


def test_what_has_expired_is_removed_and_nothing_else(alice: Person) -> None:
    post(alice, HOOKS, ENDPOINT, key="old")
    [old] = ids(StoredAnswer)
    change(StoredAnswer, old, created_at=utc_now() - get_settings().idempotency_lifetime)
    young = post(alice, HOOKS, ENDPOINT, key="young")
    tidy()
    assert len(ids(StoredAnswer)) == 1
    assert post(alice, HOOKS, ENDPOINT, key="young").body == young.body


def test_neither_the_key_nor_a_secret_that_is_shown_once_can_be_read_in_the_table(alice: Person) -> None:
    secret = post(alice, HOOKS, ENDPOINT, key="order-4711").json["signing_secret"]
    kept = str(row(StoredAnswer, ids(StoredAnswer)[0]).model_dump())
    assert not [each for each in (secret, secret[10:20], "order-4711", "signing_secret") if each in kept]
    assert post(alice, HOOKS, ENDPOINT, key="order-4711").json["signing_secret"] == secret


@pytest.mark.parametrize("key", ["", "k" * 256, "schlüssel", "a\tb"])
def test_a_key_has_1_to_255_printable_ascii_characters(alice: Person, key: str) -> None:
    refused = post(alice, HOOKS, ENDPOINT, key=key.encode().decode("latin-1"))
    assert code(refused) == (400, "invalid_value")
    assert (refused.error["param"], ids(WebhookEndpoint)) == (KEY, [])


def test_the_longest_key_and_one_with_spaces_are_taken(alice: Person) -> None:
    keys = ["k" * 255, "two words", "~!'\""]
    assert [post(alice, HOOKS, ENDPOINT, key=key).status for key in keys for _ in range(2)] == [200] * 6
    assert len(ids(WebhookEndpoint)) == len(keys)


def test_without_a_key_nothing_is_kept(alice: Person) -> None:
    assert [is_replay(post(alice, HOOKS, ENDPOINT, key=None)) for _ in range(2)] == [False, False]
    assert (len(ids(WebhookEndpoint)), ids(StoredAnswer)) == (2, [])
