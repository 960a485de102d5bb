"""The memory of a sender whose receivers are hostile, with as many deliveries at once as it has threads."""

import time
from collections.abc import Iterator

from sqlmodel import col, func, select

from benchmarks.hostile_answers.calls import Row
from benchmarks.hostile_answers.servers import HostileStack, Peak
from shared.database import transaction
from shared.projects import service as projects
from shared.webhooks import service as webhooks
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookAttempt
from shared.webhooks.schemas import WebhookEndpointCreate
from tests.hostile_servers import DRIPPING, ENDLESS, OK, UNREADABLE, Talk, answering, bomb, sending

PROJECTS, ENDPOINTS = 16, 4
SCENES: dict[str, Talk] = {
    "a body without end": ENDLESS["a text that never ends"],
    "a head without end": UNREADABLE["a head that never ends"],
    "interim answers without end": sending(forever=b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2000),
    "chunks without end": sending(
        OK + b"transfer-encoding: chunked\r\n\r\n", forever=(b"40\r\n" + b"a" * 64 + b"\r\n") * 1000
    ),
    "a chunk's size without end": sending(OK + b"transfer-encoding: chunked\r\n\r\n", forever=b"0" * 65536),
    "a gzip bomb": answering(OK + b"content-encoding: gzip\r\n", b"".join(bomb(64 << 20))),
    "a gigabyte": sending(OK + b"content-length: 1073741824\r\n\r\n", forever=b"a" * 65536),
    "a head in drops": DRIPPING["a head in drops"],
    "a body in drops": DRIPPING["a body in drops"],
}


def rows(hostile: HostileStack) -> Iterator[Row]:
    for name, talk in SCENES.items():
        hostile.delivery = talk
        peak, project_ids = Peak(hostile.stack.processes["sender"]), [_project(hostile.port) for _ in range(PROJECTS)]
        began = time.monotonic()
        for id in project_ids:
            with transaction() as session:
                webhooks.write_event(
                    session, id, EventType.JOB_CANCELLED, {"id": "ftjob-1", "object": "fine_tuning.job"}
                )
        told = _outcomes(project_ids)
        print(f"{name}: {told}", flush=True)
        measured = f"{peak.mb():.0f} MB, {time.monotonic() - began:.1f} s"
        yield f"sender, {sum(told.values())} deliveries: {name}", "≤ 512 MB, ends", measured


def _project(port: int) -> str:
    with transaction() as session:
        project = projects.create_project(session, "hostile receivers")
        for number in range(ENDPOINTS):
            url = f"http://127.0.0.1:{port}/{number}"
            new = WebhookEndpointCreate(name="hostile", url=url, event_types=[EventType.JOB_CANCELLED])
            webhooks.create_endpoint(session, project.id, new)
        return project.id


def _outcomes(project_ids: list[str]) -> dict[str, int]:
    """How the first attempts ended, and how many did so, once all have, or after a minute."""
    deadline, told = time.monotonic() + 60, dict[str, int]()
    while time.monotonic() < deadline:
        with transaction() as session:
            ended = select(func.coalesce(WebhookAttempt.error, "accepted"), func.count())
            ended = ended.where(col(WebhookAttempt.project_id).in_(project_ids)).group_by(WebhookAttempt.error)
            told = dict(session.exec(ended).all())
        if sum(told.values()) >= PROJECTS * ENDPOINTS:
            break
        time.sleep(0.2)
    return told
