"""What is sent, byte for byte, and that every library of receivers believes it, and nothing that was altered."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import InvalidWebhookSignatureError, OpenAI
from standardwebhooks import Webhook, WebhookVerificationError

from api.webhooks.samples import sample
from shared.budgets.schemas import ThresholdReached
from shared.datasets.views import DatasetPublic
from shared.db.times import epoch
from shared.deployments.schemas import DeploymentPublic
from shared.jobs.elsewhere.retirement import ModelEnds
from shared.jobs.names.schemas import ModelPublic
from shared.jobs.schemas import CheckpointPublic, JobPublic
from shared.projects.key_schemas import ApiKeyPublic
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookEvent
from shared.webhooks.schemas import WebhookEndpointPublic
from tests.servers import Receiver, wait_for_port
from tests.worker.support import endpoint_of, write_event
from tests.world import Person, row, work

ROOT = Path(__file__).parents[2]
OPENAIS = {EventType.JOB_SUCCEEDED, EventType.JOB_FAILED, EventType.JOB_CANCELLED}
OBJECTS = (
    JobPublic,
    DatasetPublic,
    CheckpointPublic,
    ModelPublic,
    DeploymentPublic,
    ApiKeyPublic,
    WebhookEndpointPublic,
    ThresholdReached,
)


def happen_all(person: Person) -> None:
    """Each type of event once."""
    for type in EventType:
        write_event(person, type, **sample(type))


@pytest.mark.parametrize("full_payloads", [False, True])
def test_every_payload_is_believed_by_the_sdk_and_by_the_library(
    alice: Person, receiver: Receiver, full_payloads: bool
) -> None:
    secret = endpoint_of(alice, receiver.url, *EventType, full_payloads=full_payloads)["signing_secret"]
    happen_all(alice)
    work()
    assert {event["type"] for event in receiver.events} == set(EventType)
    for headers, body in receiver.received:
        event = Webhook(secret).verify(body.decode(), headers)
        is_thin = event["type"] in OPENAIS and not full_payloads
        whole = sample(EventType(event["type"]))
        assert event["data"] == ({"id": whole["id"]} if is_thin else whole)
        read: Any = OpenAI(api_key="-").webhooks.unwrap(body, headers, secret=secret)
        assert (read.id, read.type) == (event["id"], event["type"])


def test_openais_events_are_openais_byte_for_byte(alice: Person, receiver: Receiver) -> None:
    endpoint_of(alice, receiver.url)
    event_id = write_event(alice, status="cancelled")
    work()
    [(_, body)] = receiver.received
    created_at = epoch(row(WebhookEvent, event_id).created_at)
    assert body.decode() == (
        f'{{"id":"{event_id}","object":"event","created_at":{created_at},'
        '"type":"fine_tuning.job.cancelled","data":{"id":"ftjob-1"}}'
    )


@pytest.mark.parametrize("type", EventType)
def test_a_sample_has_all_that_the_api_gives(type: EventType) -> None:
    whole = sample(type)
    named = {each.model_fields["object"].default: each for each in OBJECTS}
    model = ModelEnds if type is EventType.MODEL_SHUTDOWN_SCHEDULED else named[whole["object"]]
    assert model.model_validate(whole).model_dump(mode="json") == whole


Change = Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]
CHANGES: dict[str, Change] = {
    "body": lambda headers, body: (headers, body + b" "),
    "id": lambda headers, body: (headers | {"webhook-id": "wh_other"}, body),
    "time": lambda headers, body: (
        headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)},
        body,
    ),
    "no signature": lambda headers, body: (headers | {"webhook-signature": "v1,"}, body),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_altered_is_not_believed(alice: Person, receiver: Receiver, change: Change) -> None:
    secret = endpoint_of(alice, receiver.url)["signing_secret"]
    write_event(alice)
    work()
    headers, body = change(*receiver.received[0])
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body.decode(), headers)
    with pytest.raises(InvalidWebhookSignatureError):
        OpenAI(api_key="-").webhooks.unwrap(body, headers, secret=secret)


def test_what_was_signed_long_ago_is_not_believed() -> None:
    secret = "whsec_" + "QUJD" * 10 + "QUI="
    headers, body = signed_at(secret, datetime.now(UTC) - timedelta(minutes=6))
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(secret).verify(body, headers)
    with pytest.raises(InvalidWebhookSignatureError, match="too old"):
        OpenAI(api_key="-").webhooks.unwrap(body, headers, secret=secret)


def signed_at(secret: str, at: datetime) -> tuple[dict[str, str], str]:
    """As the worker signs, at another time."""
    body = '{"id":"evt_1","type":"fine_tuning.job.cancelled","data":{"id":"ftjob-1"}}'
    headers = {"webhook-id": "wh_1", "webhook-timestamp": str(int(at.timestamp()))}
    return headers | {"webhook-signature": Webhook(secret).sign("wh_1", at, body)}, body


def test_the_library_of_node_believes_the_same(alice: Person, tmp_path: Path, held_port: int) -> None:
    node = installed(tmp_path)
    url = f"http://127.0.0.1:{held_port}/"
    made = endpoint_of(alice, url, *EventType)
    with verifying(node, tmp_path, url, made["signing_secret"]):
        happen_all(alice)
        alice.http.post(f"/webhook_endpoints/{made['id']}", json={"full_payloads": True}).raise_for_status()
        happen_all(alice)
        work()
        log = alice.http.get(f"/webhook_endpoints/{made['id']}/deliveries", params={"limit": 100}).json()["data"]
        answers = [attempt["response_status"] for delivery in log for attempt in delivery["attempts"]]
        assert answers == [204] * 2 * len(EventType)
        last = log[-1]["attempts"][0]["request_headers"]
        body = alice.http.get(f"/webhook_endpoints/{made['id']}/deliveries/{log[-1]['id']}").json()["request_body"]
        for change in CHANGES.values():
            headers, altered = change(last, body.encode())
            assert httpx2.post(url, headers=headers, content=altered).status_code == 400
        headers, text = signed_at(made["signing_secret"], datetime.now(UTC) - timedelta(minutes=6))
        assert httpx2.post(url, headers=headers, content=text).status_code == 400


def installed(folder: Path) -> str:
    """Node, with the library beside the example in this folder; only if both are there to be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node is not installed")
    shutil.copy(ROOT / "examples" / "verify.mjs", folder)
    options = ["--prefix", str(folder), "--no-audit", "--no-fund", "--silent", "--fetch-retries=0"]
    install = subprocess.run([npm, "install", *options, "standardwebhooks@1"], capture_output=True, text=True)
    if install.returncode:
        pytest.skip(f"npm cannot install standardwebhooks here: {install.stderr.strip() or install.returncode}")
    return node


@contextmanager
def verifying(node: str, folder: Path, url: str, secret: str) -> Iterator[None]:
    """The example, listening at this address."""
    port = int(url.rstrip("/").rpartition(":")[2])
    environment = {"WEBHOOK_SECRET": secret, "PORT": str(port)}
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([node, str(folder / "verify.mjs")], env=environment, stdout=quiet, stderr=quiet)
    try:
        wait_for_port(port)
        yield
    finally:
        process.kill()
        process.wait()
