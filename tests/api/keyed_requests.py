"""Requests with an `Idempotency-Key`, and checks of their replays."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text

from shared.database import get_engine
from tests.api.wire import END, Answer, part, send
from tests.servers import until
from tests.world import Person, lines

KEY = "Idempotency-Key"
JOBS, HOOKS = "/fine_tuning/jobs", "/webhook_endpoints"
JSON = "application/json"
AN_ANSWER, AN_ID = "relation = 'stored_answers'::regclass", "locktype = 'advisory'"  # what a transaction waits for
ENDPOINT = {"name": "a", "url": "https://example.com/hook", "event_types": ["fine_tuning.job.succeeded"]}


def post(person: Person, path: str, body: Any = None, key: str | None = "k", **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    return send(person, "POST", path, raw, {**({KEY: key} if key is not None else {}), **headers})


def form(boundary: str, name: str = "file", content: bytes = b"", **fields: str) -> dict[str, Any]:
    """A form with a boundary of its own, since clients choose a new one for each request."""
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
    """Assert that the second answer is a replay of the first, and return its JSON."""
    assert (again.status, again.body) == (first.status, first.body) == (200, first.body), again.text
    assert again.headers["content-type"] == first.headers["content-type"] == JSON
    assert (is_replay(first), is_replay(again)) == (False, True)
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    return again.json


def twice(person: Person, path: str, body: Any = None) -> Any:
    return same(*(post(person, path, body, key=path) for _ in range(2)))


@contextmanager
def stored_answers_locked() -> Iterator[None]:
    """Block requests with a key after their work, when they store their answers."""
    with get_engine().begin() as connection:
        connection.execute(text("lock table stored_answers in exclusive mode"))
        yield


def until_somebody_waits_for(lock: str) -> None:
    """Return once a transaction waits for such a lock (a condition of `pg_locks`)."""
    here = "database = (select oid from pg_database where datname = current_database())"
    query = text(f"select count(*) from pg_locks where not granted and {here} and {lock}")
    with get_engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        until(lambda: connection.execute(query).scalar_one(), f"a wait for {lock}")
