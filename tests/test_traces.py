"""Traces in a collector: one from a request over the steps of its rows to the webhook, with real servers."""

import json
from collections.abc import Callable, Iterator

import pytest

from shared.jobs.models import JobStatus, NextAction
from shared.telemetry import spans
from tests.collector import Collector, Span
from tests.installation import KEY, Deployment, database, deployed, person_of
from tests.servers import Receiver, closed_port, until
from tests.worker.support import settings
from tests.world import Person, lines

CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "100"}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector.listening() as collector:
        yield collector


@pytest.fixture(scope="module")
def deployment(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, collector: Collector
) -> Iterator[Deployment]:
    folder, variables = tmp_path_factory.mktemp("traces"), {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **SOON}
    with database(postgres_url) as database_url, deployed(database_url, folder, **variables) as deployment:
        yield deployment


@pytest.fixture
def person(deployment: Deployment) -> Iterator[Person]:
    with person_of(deployment) as person:
        yield person


def test_one_trace_goes_from_the_request_to_the_webhook(
    person: Person, deployment: Deployment, collector: Collector, receiver: Receiver
) -> None:
    new = {"name": "traced", "url": receiver.url, "event_types": ["fine_tuning.job.succeeded"]}
    secret = person.http.post("/webhook_endpoints", json=new).raise_for_status().json()["signing_secret"]
    file = person.openai.files.create(file=("train.jsonl", lines()), purpose="fine-tune")
    trace_id, span_id = CALLER
    headers = {"traceparent": f"00-{trace_id}-{span_id}-01"}
    body = {"model": "gpt-4o-mini", "training_file": file.id}
    job = person.http.post("/fine_tuning/jobs", json=body, headers=headers).raise_for_status().json()["id"]
    until(lambda: len(receiver.received) > 0, "the webhook")

    def found() -> dict[str, Span]:
        return {span.name: span for span in collector.trace(trace_id)}

    def is_whole() -> bool:
        """The delivery has come, and what each span goes on from."""
        known = {span_id, *(span.span_id for span in collector.trace(trace_id))}
        return "webhook_deliveries" in found() and {span.parent_id for span in collector.trace(trace_id)} <= known

    until(is_whole, "the whole trace")
    request, delivery = found()["POST /v1/fine_tuning/jobs"], found()["webhook_deliveries"]
    assert (request.parent_id, request.attributes["http.response.status_code"]) == (span_id, "200")
    assert found().keys() >= {"jobs prepare", "provider_files", "openai create_job", "jobs poll"}
    assert {span.service for span in found().values()} == {"tunery-api", "tunery-worker", "tunery-sender"}
    assert found()["jobs prepare"].attributes["tunery.row"] == job
    assert receiver.received[0][0]["traceparent"] == f"00-{trace_id}-{delivery.span_id}-01"
    [uploaded] = [span for span in collector.spans if span.name == "POST /v1/files"]
    assert "datasets" in {span.name for span in collector.trace(uploaded.trace_id)}
    log = [json.loads(line) for line in (deployment.folder / "api.log").read_text().splitlines()]
    assert [line["path"] for line in log if line.get("trace_id") == trace_id] == ["/v1/fine_tuning/jobs"]
    for hidden in (KEY, person.api_key, secret, receiver.url, "Question 7"):
        assert hidden.encode() not in collector.bodies


class Row:
    """What a step has claimed."""

    def __init__(self) -> None:
        self.id, self.project_id, self.traceparent = "ftjob-1", "proj_1", f"00-{CALLER[0]}-{CALLER[1]}-01"
        self.status, self.next_action = JobStatus.RUNNING, NextAction.POLL


def nothing(_: Row) -> None: ...


def change(row: Row) -> None:
    row.status = JobStatus.SUCCEEDED


def fail(_: Row) -> None:
    spans.describe({}, error="rate_limited")


def hand_on(_: Row) -> None:
    spans.traceparent()


@pytest.mark.parametrize(("do", "sent"), [(nothing, 0), (change, 2), (fail, 2), (hand_on, 2)])
def test_a_step_is_shown_if_something_came_of_it(do: Callable[[Row], None], sent: int, clean: str) -> None:
    with Collector.listening() as collector, settings(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url):
        spans.start("worker")
        row = Row()
        with spans.step("jobs"):
            spans.claimed(row)
            with spans.call("openai retrieve_job") as attributes:
                attributes["tunery.status"] = "ok"
            do(row)
            spans.compare(row)
        spans.stop()
    assert len(collector.trace(CALLER[0])) == len(collector.spans) == sent


def test_an_error_is_shown_by_its_type_alone(clean: str) -> None:
    with Collector.listening() as collector, settings(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url):
        spans.start("api")
        with pytest.raises(ValueError, match="sk-secret"), spans.call("openai create_job"):
            raise ValueError("sk-secret")
        spans.stop()
    [span] = collector.spans
    assert (span.has_failed, span.attributes) == (True, {"error.type": "ValueError"})
    assert b"sk-secret" not in collector.bodies


def test_a_collector_that_is_down_holds_up_nobody(clean: str) -> None:
    with settings(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{closed_port()}"):
        spans.start("api")
        with spans.call("openai ask"):
            pass
        spans.stop()
    assert spans.traceparent() is None
