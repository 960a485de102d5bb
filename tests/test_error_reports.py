"""Errors in Sentry: what real servers send when Postgres fails them, and what they keep to themselves."""

import json
import socket
import threading
from collections.abc import Iterator

import psycopg
import pytest

from tests.collector import Collector
from tests.installation import KEY, Deployment, database, deployed, person_of
from tests.sentry_intake import Intake
from tests.servers import Receiver, closed_port, talking, until
from tests.shared.process import python
from tests.world import Person, lines

LEAKED = "sk-tun-" + "a1B2" * 10
ROW = "a row of somebody"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
# What each server writes: Postgres fails it there, and repeats a secret and a row as it says so.
TABLES = {"api": "uploads", "worker": "dataset_reports", "sender": "webhook_attempts", "beat": "sweeps"}
FAULT = f"""
create function fail() returns trigger language plpgsql as $$
begin raise exception 'no room for {LEAKED}' using detail = 'Failing row contains ({ROW}).'; end $$;
"""
START = """
import logging, threading, structlog
from shared.log import set_up_logging
from shared.telemetry import error_reports
set_up_logging()
error_reports.start("beat")
log = structlog.get_logger("tests")

def fail(sentence="it failed"):
    try:
        raise ValueError("sk-tun-" + "a1B2" * 10)
    except ValueError:
        log.exception(sentence, row="ftjob-1", reason="told to nobody")
"""


@pytest.fixture(scope="module")
def intake() -> Iterator[Intake]:
    with Intake.listening() as intake:
        yield intake


@pytest.fixture(scope="module")
def deployment(postgres_url: str, tmp_path_factory: pytest.TempPathFactory, intake: Intake) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("reports")
    with Collector.listening() as collector, database(postgres_url) as database_url:
        variables = {
            "SENTRY_DSN": intake.dsn,
            "SENTRY_ENVIRONMENT": "test",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        }
        with deployed(database_url, folder, **variables) as deployment:
            yield deployment


@pytest.fixture
def person(deployment: Deployment) -> Iterator[Person]:
    with person_of(deployment) as person:
        yield person


def logged(deployment: Deployment, server: str) -> list[dict[str, str]]:
    text = (deployment.folder / f"{server}.log").read_text()
    return [line for line in map(json.loads, text.splitlines()) if "exception" in line]


def test_each_server_reports_what_its_log_shows_with_a_traceback(
    person: Person, deployment: Deployment, intake: Intake, receiver: Receiver
) -> None:
    new = {"name": "reported", "url": receiver.url, "event_types": ["fine_tuning.job.succeeded"]}
    endpoint = person.http.post("/webhook_endpoints", json=new).raise_for_status().json()
    assert person.http.get("/fine_tuning/jobs/ftjob-nothing").status_code == 404
    with psycopg.connect(deployment.environ["DATABASE_URL"], autocommit=True) as owner:
        owner.execute(FAULT)
        for table in TABLES.values():
            owner.execute(f"create trigger fail before insert or update on {table} execute function fail()".encode())
    person.openai.files.create(file=("train.jsonl", lines()), purpose="fine-tune")
    person.http.post(f"/webhook_endpoints/{endpoint['id']}/test", json={"event_type": "fine_tuning.job.succeeded"})
    body = {"filename": "marked.jsonl", "purpose": "fine-tune", "bytes": 10, "mime_type": "text/jsonl"}
    for request in ("req_first", "req_second"):
        headers = {"x-request-id": request, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        assert person.http.post("/uploads", json=body, headers=headers).status_code == 500

    until(lambda: len(intake.of("api", request_id="req_second")) > 0, "a report of the api")
    others = ("worker", "sender", "beat")
    until(lambda: all(len(intake.of(server)) > 1 for server in others), "a second report of each other server")

    [first] = intake.of("api", request_id="req_first")  # a second one would have come before that of the next request
    assert (first["level"], first["environment"]) == ("error", "test")
    assert first["logentry"]["message"] == "a request failed unexpectedly"
    assert first["tags"]["project_id"] == person.project_id
    assert first["contexts"]["trace"]["trace_id"] == first["tags"]["trace_id"] == TRACE
    assert first["exception"]["values"][-1]["value"].startswith("(psycopg.errors.RaiseException) no room for sk-tun-a…")
    for server in ("worker", "sender"):
        task = intake.of(server)[0]["tags"]["task_id"]
        assert len(intake.of(server, task_id=task)) == 1
        assert intake.of(server, task_id=task)[0]["tags"]["project_id"] == person.project_id
    for server in TABLES:
        sentences = {line["event"] for line in logged(deployment, server)}
        assert {event["logentry"]["message"] for event in intake.of(server)} <= sentences
    for event in intake.events:
        assert event.keys().isdisjoint({"request", "user", "extra", "modules"})
        assert not event["breadcrumbs"]["values"]
        frames = [frame for error in event["exception"]["values"] for frame in error["stacktrace"]["frames"]]
        assert frames
        assert not any("vars" in frame for frame in frames)
    for hidden in (LEAKED, ROW, KEY, person.api_key, receiver.url, "marked.jsonl", "Question 7"):
        assert hidden.encode() not in intake.bodies


def test_only_what_is_unexpected_is_reported() -> None:
    expected = "log.error('down', reason='x'); logging.error('down'); log.warning('slow', exc_info=ValueError('a'))\n"
    with Intake.listening() as intake:
        process = python(START + expected + "fail()", SENTRY_DSN=intake.dsn)
    assert process.returncode == 0, process.stderr
    [event] = intake.events
    assert event["tags"] == {"server": "beat", "row": "ftjob-1"}
    assert event["exception"]["values"][0]["value"] == "sk-tun-a…"
    assert b"told to nobody" not in intake.bodies


def test_an_error_that_is_logged_twice_on_its_way_is_reported_once() -> None:
    twice = """
try:
    try:
        raise KeyError("x")
    except KeyError:
        log.exception("first")
        raise
except KeyError:
    logging.exception("second")
fail("another")
"""
    with Intake.listening() as intake:
        python(START + twice, SENTRY_DSN=intake.dsn)
    assert [event["logentry"]["message"] for event in intake.events] == ["first", "another"]


@pytest.mark.parametrize("where", ["1 / 0", "t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()"])
def test_an_error_that_ends_a_process_or_a_thread_is_reported(where: str) -> None:
    with Intake.listening() as intake:
        python(START + where, SENTRY_DSN=intake.dsn)
    [event] = intake.events
    assert (event["level"], event["exception"]["values"][0]["type"]) == ("fatal", "ZeroDivisionError")


def test_a_sentry_that_is_down_costs_nothing_but_a_line() -> None:
    process = python(START + "fail(); error_reports.stop()", SENTRY_DSN=f"http://key@127.0.0.1:{closed_port()}/1")
    assert process.returncode == 0, process.stderr
    told = [json.loads(line) for line in process.stderr.splitlines()]
    assert [line["event"] for line in told if line["logger"] == "tests"] == ["it failed"]


def say_nothing(_: socket.socket, over: threading.Event) -> None:
    over.wait()


def test_a_sentry_that_hangs_holds_up_nobody() -> None:
    with talking(say_nothing) as hanging:
        process = python(START + "for _ in range(300): fail()", SENTRY_DSN=f"http://key@127.0.0.1:{hanging.port}/1")
    assert process.returncode == 0, process.stderr
    told = [json.loads(line)["event"] for line in process.stderr.splitlines()]
    assert told.count("it failed") == 300
    assert 0 < told.count("an error could not be reported to Sentry") < 300  # those for which the queue had no room
