"""`Idempotency-Key` after lost answers, concurrent requests and crashes: the work is done exactly once."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx2
from openai import OpenAI
from sqlalchemy import text

from shared.database import get_engine
from shared.datasets.models import Dataset
from shared.jobs.models import Job
from tests.api.conftest import running_under
from tests.api.keyed_requests import (
    AN_ANSWER,
    JOBS,
    KEY,
    code,
    is_replay,
    new_job,
    post,
    stored_answers_locked,
    until_somebody_waits_for,
)
from tests.api.wire import Answer
from tests.worker.support import ids
from tests.world import Person, lines


@contextmanager
def proxy_that_loses_the_first_answer(server: str) -> Iterator[str]:
    """Run a proxy to the api that drops the first answer after the request was carried out; yields its URL."""
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
            """Keep the output of the tests clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.server_port}/v1"
        listener.shutdown()
    assert len(came) == 2


def retrying_sdk(person: Person, address: str) -> OpenAI:
    """The SDK with retries, as it is delivered."""
    return OpenAI(base_url=address, api_key=person.api_key, max_retries=1)


def test_the_sdk_repeats_a_create_whose_answer_was_lost_and_gets_the_same_job(alice: Person) -> None:
    file_id = alice.upload()
    with proxy_that_loses_the_first_answer(alice.base_url) as address, retrying_sdk(alice, address) as client:
        job = client.fine_tuning.jobs.create(**new_job(file_id), extra_headers={KEY: "my job"})
    assert ids(Job) == [job.id]


def test_the_sdk_sends_its_own_key_if_it_is_configured_with_the_header(alice: Person) -> None:
    with proxy_that_loses_the_first_answer(alice.base_url) as address, retrying_sdk(alice, address) as client:
        client._idempotency_header = KEY
        file = client.files.create(file=("train.jsonl", lines()), purpose="fine-tune")
    assert ids(Dataset) == [file.id]


def test_a_repeat_during_the_first_request_is_refused_and_the_sdk_retries(alice: Person) -> None:
    new = new_job(alice.upload())
    with ThreadPoolExecutor(1) as pool:
        with stored_answers_locked():
            first: Future[Answer] = pool.submit(post, alice, JOBS, new)
            until_somebody_waits_for(AN_ANSWER)
            refused = post(alice, JOBS, new)
            assert code(refused) == (409, "idempotency_key_in_use")
            assert refused.headers["x-should-retry"] == "true"
            assert ids(Job) == []
        job_id = first.result().json["id"]
    again = alice.openai.with_options(max_retries=3).fine_tuning.jobs.create(**new, extra_headers={KEY: "k"})
    assert ids(Job) == [again.id] == [job_id]


def test_twenty_concurrent_requests_create_one_job(alice: Person) -> None:
    new = new_job(alice.upload())
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: post(alice, JOBS, new), range(20)))
    done = [answer for answer in answers if answer.status == 200]
    assert [is_replay(answer) for answer in done].count(False) == 1
    assert {answer.json["id"] for answer in done} == set(ids(Job))
    assert {code(answer) for answer in answers if answer.status != 200} <= {(409, "idempotency_key_in_use")}
    assert post(alice, JOBS, new).json["id"] == ids(Job)[0]


def test_an_api_killed_between_the_work_and_its_answer_has_done_nothing(alice: Person) -> None:
    new = new_job(alice.upload())
    with running_under() as (address, process), ThreadPoolExecutor(1) as pool:
        with stored_answers_locked():
            there = Person(address, alice.api_key, alice.project_id)
            lost = pool.submit(post, there, JOBS, new)
            until_somebody_waits_for(AN_ANSWER)
            process.kill()
            assert lost.exception(10)
        there.close()
    job = alice.openai.with_options(max_retries=5).fine_tuning.jobs.create(**new, extra_headers={KEY: "k"})
    assert ids(Job) == [job.id]
    assert is_replay(post(alice, JOBS, new))


def test_work_whose_answer_cannot_be_stored_is_undone(alice: Person) -> None:
    new, terminate = new_job(alice.upload()), "select pg_terminate_backend(pid) from pg_locks where not granted"
    with ThreadPoolExecutor(1) as pool, stored_answers_locked():
        failed = pool.submit(post, alice, JOBS, new)
        until_somebody_waits_for(AN_ANSWER)
        with get_engine().begin() as connection:
            connection.execute(text(terminate))
        assert code(failed.result()) == (503, "database_unavailable")
    assert ids(Job) == []
    job_id = post(alice, JOBS, new).json["id"]
    assert ids(Job) == [job_id]
