"""`tunery webhooks`: what a person asks of a server, the exit codes, and what goes to which stream."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from openai import OpenAI
from sqlmodel import select

from cli.local import commands
from shared.database import transaction
from shared.webhooks.models import WebhookDelivery, WebhookEndpoint
from tests.api.test_webhook_endpoints import create
from tests.cli.terminal import Tunery
from tests.servers import Receiver, closed_port
from tests.worker.support import change
from tests.world import Person, step, work

SUCCEEDED = "fine_tuning.job.succeeded"


@contextmanager
def a_worker() -> Iterator[None]:
    """Delivers what is due for as long as the block lasts."""
    over = threading.Event()

    def deliver() -> None:
        while not over.wait(0.01):
            with transaction() as session:
                due = session.exec(select(WebhookDelivery.id).where(WebhookDelivery.due_at != None)).all()  # noqa: E711
            for id in due:
                step(WebhookDelivery, id)

    thread = threading.Thread(target=deliver)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_listener_forwards_an_event_as_it_would_be_delivered_and_ends_quietly(
    at_alices: Person, receiver: Receiver
) -> None:
    listener = subprocess.Popen(
        [commands.PYTHON, "-m", "cli", "webhooks", "listen", "--forward-to", receiver.url, "--events", SUCCEEDED],
        cwd=commands.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
    )
    assert listener.stdout
    assert listener.stderr
    listener.stderr.readline()
    secret = listener.stderr.readline().strip().removeprefix("export OPENAI_WEBHOOK_SECRET=")
    assert listener.stderr.readline().startswith("Ready.")
    for type in ("dataset.processed", SUCCEEDED):
        at_alices.http.post("/webhook_events", json={"event_type": type}).raise_for_status()
    line = listener.stdout.readline().split()
    listener.send_signal(signal.SIGINT)
    assert (listener.wait(), *listener.communicate()) == (130, "", "")

    [(headers, body)] = receiver.received
    event = OpenAI(api_key="unused", webhook_secret=secret).webhooks.unwrap(body, headers)
    assert (event.type, json.loads(body)["data"]) == (SUCCEEDED, {"id": "ftjob-sample"})
    assert headers["webhook-id"] == json.loads(body)["id"]
    assert (line[1:4], line[5]) == ([SUCCEEDED, "ftjob-sample", "200"], "ms")


def test_the_secret_is_printed_for_scripts_and_stays_the_same(at_alices: Person, tunery: Tunery) -> None:
    first, second = (tunery("webhooks", "listen", "--print-secret") for _ in range(2))
    assert (first.code, first.err) == (0, "")
    assert first.out == second.out
    assert first.out.startswith("whsec_")


@pytest.mark.parametrize("missing", ["OPENAI_BASE_URL", "OPENAI_API_KEY"])
def test_a_missing_variable_is_named_with_what_to_do(
    at_alices: Person, tunery: Tunery, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(missing)
    said = tunery("webhooks", "list")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"{missing} is not set.")
    assert "running `./tunery up`" in said.err


@pytest.mark.parametrize("command", ["list", "listen"])
def test_a_key_that_is_not_known_exits_with_4(
    at_alices: Person, tunery: Tunery, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody")
    said = tunery("webhooks", command)
    assert (said.code, said.out) == (4, "")
    assert said.err.startswith("This API key is unknown")


@pytest.mark.parametrize("command", ["list", "listen"])
def test_a_server_that_is_not_there_exits_with_6(
    at_alices: Person, tunery: Tunery, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    nowhere = f"http://127.0.0.1:{closed_port()}/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", nowhere)
    said = tunery("webhooks", command)
    assert (said.code, said.out) == (6, "")
    assert f"The server of OPENAI_BASE_URL ({nowhere}) does not answer: Connection refused" in said.err


@pytest.mark.parametrize(
    "arguments", [("trigger", "job.done"), ("listen", "--forward-to", "ftp://x"), ("deliveries", "--status", "lost")]
)
def test_a_wrong_command_exits_with_2(tunery: Tunery, arguments: tuple[str, ...]) -> None:
    assert tunery("webhooks", *arguments).code == 2


def test_a_sample_event_is_made_for_those_who_listen(at_alices: Person, tunery: Tunery) -> None:
    said = tunery("webhooks", "trigger", "dataset.failed", "--json")
    made = json.loads(said.out)
    assert (said.code, made["type"], made["is_test"]) == (0, "dataset.failed", True)
    assert at_alices.http.get(f"/webhook_events/{made['id']}").json() == made


def test_a_test_of_an_endpoint_tells_what_was_answered(at_alices: Person, tunery: Tunery, receiver: Receiver) -> None:
    endpoint_id = create(at_alices, url=receiver.url).id
    receiver.answers = [204, 500]
    with a_worker():
        good = tunery("webhooks", "trigger", SUCCEEDED, "--endpoint", endpoint_id)
        bad = tunery("webhooks", "trigger", SUCCEEDED, "--endpoint", endpoint_id)
    assert (good.code, good.err) == (0, "")
    assert good.out.split()[:3] == ["204", SUCCEEDED, endpoint_id]
    assert (bad.code, bad.out.split()[0]) == (1, "500")
    assert "the receiver answered 500" in bad.err


def test_a_test_that_nobody_answers_says_why(at_alices: Person, tunery: Tunery) -> None:
    endpoint_id = create(at_alices, url=f"http://127.0.0.1:{closed_port()}/").id
    with a_worker():
        said = tunery("webhooks", "trigger", SUCCEEDED, "--endpoint", endpoint_id)
    assert (said.code, said.out) == (1, "")
    assert "Connection refused" in said.err


def delivered(person: Person, *urls: str) -> list[str]:
    """An event that is on its way to each of these addresses; the endpoints."""
    ids = [create(person, url=url).id for url in urls]
    for endpoint_id in ids:
        with a_worker():
            person.http.post(f"/webhook_endpoints/{endpoint_id}/test", json={"event_type": SUCCEEDED})
    return ids


def test_deliveries_of_all_endpoints_are_shown_newest_first(
    at_alices: Person, tunery: Tunery, receiver: Receiver
) -> None:
    receiver.answers = [200, 500]
    ids = delivered(at_alices, receiver.url, receiver.url)
    titles, *rows = tunery("webhooks", "deliveries").out.splitlines()
    assert titles.split()[-2:] == ["DELIVERY", "ENDPOINT"]
    assert [row.split()[-1] for row in rows] == ids[::-1]
    assert [row.split()[3] for row in rows] == ["failed", "succeeded"]
    [titles, row] = tunery("webhooks", "deliveries", ids[0]).out.splitlines()
    assert titles.split()[-1] == "DELIVERY"
    assert "200, " in row


def test_deliveries_are_one_json_document_for_programs(at_alices: Person, tunery: Tunery, receiver: Receiver) -> None:
    receiver.answers = [200, 500]
    ids = delivered(at_alices, receiver.url, receiver.url)

    def found(*options: str) -> list[Any]:
        data: list[Any] = json.loads(tunery("webhooks", "deliveries", "--json", *options).out)["data"]
        return [delivery["webhook_endpoint_id"] for delivery in data]

    assert found("--status", "failed") == ids[1:]
    assert found("--limit", "1") == ids[1:]
    assert found("--object", "ftjob-sample", "--type", SUCCEEDED) == ids[::-1]
    assert found("--object", "ftjob-other") == []


def test_nothing_to_show_is_said_on_the_other_stream(at_alices: Person, tunery: Tunery) -> None:
    said = tunery("webhooks", "deliveries")
    assert (said.code, said.out) == (0, "")
    assert "The project has no webhook endpoint." in said.err
    create(at_alices)
    assert tunery("webhooks", "deliveries").err == "Nothing was sent that fits.\n"


def test_a_delivery_is_sent_again_by_its_id_alone(at_alices: Person, tunery: Tunery, receiver: Receiver) -> None:
    delivered(at_alices, receiver.url)
    create(at_alices)
    [(headers, body)] = receiver.received
    said = tunery("webhooks", "redeliver", headers["webhook-id"])
    work()
    assert (said.code, said.out.split()[:2]) == (0, [headers["webhook-id"], "pending"])
    assert receiver.received[1][0]["webhook-id"] == headers["webhook-id"]
    assert receiver.received[1][1] == body


def test_a_delivery_of_another_project_is_not_found(
    at_alices: Person, bob: Person, tunery: Tunery, receiver: Receiver
) -> None:
    delivered(bob, receiver.url)
    create(at_alices)
    said = tunery("webhooks", "redeliver", receiver.received[0][0]["webhook-id"])
    assert (said.code, said.out) == (1, "")
    assert "No endpoint of this project has a delivery wh_" in said.err


def test_an_endpoint_is_made_listed_and_its_secret_changed(at_alices: Person, tunery: Tunery) -> None:
    made = tunery("webhooks", "create", "https://example.com/hook", "--name", "ci", "--events", "dataset.failed")
    [endpoint] = at_alices.openai.webhooks.list().data
    assert (made.out[:6], made.err.split()[1]) == ("whsec_", endpoint.id)
    [_, row] = tunery("webhooks", "list").out.splitlines()
    assert row.split() == [endpoint.id, "enabled", "ci", "https://example.com/hook", "dataset.failed"]
    rotated = tunery("webhooks", "rotate", endpoint.id, "--keep-old")
    assert rotated.out[:6] == "whsec_" != rotated.out != made.out


def test_recovering_begins_where_an_endpoint_began_to_miss(at_alices: Person, tunery: Tunery) -> None:
    endpoint = create(at_alices)
    said = tunery("webhooks", "recover", endpoint.id)
    assert (said.code, said.out) == (1, "")
    assert "say from when on with --since" in said.err
    with transaction() as session:
        made_at = session.get_one(WebhookEndpoint, endpoint.id).created_at
    change(WebhookEndpoint, endpoint.id, missed_since=made_at)
    begun = json.loads(tunery("webhooks", "recover", endpoint.id, "--json").out)
    assert (begun["since"], begun["status"]) == (int(made_at.timestamp()), "in_progress")


def test_what_the_server_refuses_is_said_in_its_words(at_alices: Person, tunery: Tunery) -> None:
    said = tunery("webhooks", "create", "https://10.0.0.1/")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("The address must not lead to")
