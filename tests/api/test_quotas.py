"""Quotas of a project: what is refused beyond them, what goes on, and how `GET /v1/project` shows them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api.webhooks.samples import sample
from shared.database import transaction
from shared.datasets.models import Dataset
from shared.db.quotas import RecentCount, Use
from shared.errors import QuotaExceeded
from shared.projects import service as projects
from shared.webhooks import deliveries
from shared.webhooks.event_types import EventType
from tests.api.administration import Operator, operating
from tests.api.conftest import serving_under
from tests.servers import Receiver
from tests.worker.support import change, settings
from tests.world import Person, lines, row, step

LIMITS = {
    "TUNERY_QUOTAS__FILE_BYTES": "10000",
    "TUNERY_QUOTAS__FILES": "3",
    "TUNERY_QUOTAS__PENDING_UPLOADS": "2",
    "TUNERY_QUOTAS__API_KEYS": "2",
    "TUNERY_QUOTAS__CREDENTIALS": "1",
    "TUNERY_QUOTAS__EVENTS_PER_DAY": "4",
    "TUNERY_QUOTAS__IDEMPOTENCY_KEYS": "2",
    "TUNERY_MAX_WEBHOOK_ENDPOINTS": "1",
}
HOOK = {"name": "ci", "url": "https://hooks.example.com/", "event_types": ["fine_tuning.job.cancelled"]}
UPLOAD = {"filename": "train.jsonl", "purpose": "fine-tune", "mime_type": "text/jsonl"}


@pytest.fixture(scope="module")
def small_server(server: str) -> Iterator[str]:
    with serving_under(**LIMITS) as address:
        yield address


@pytest.fixture
def small(small_server: str, alice: Person) -> Iterator[Person]:
    """Alice, at a server with small quotas."""
    person = Person(small_server, alice.api_key, alice.project_id)
    yield person
    person.close()


@pytest.fixture
def operator(small_server: str, clean: str) -> Iterator[Operator]:
    with operating(small_server) as operator:
        yield operator


def upload(person: Person, size: int) -> Any:
    files = {"file": ("train.jsonl", b"x" * size)}
    return person.http.post("/files", data={"purpose": "user_data"}, files=files)


def quota_of(answer: Any) -> str:
    """The name of the quota that refused a request, after checking what every refusal has."""
    assert answer.status_code == 429
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("quota_exceeded", "insufficient_quota")
    assert answer.headers["x-should-retry"] == "false"
    return str(error["param"])


def quotas(person: Person) -> dict[str, tuple[int, int]]:
    shown = person.http.get("/project").raise_for_status().json()["quotas"]
    return {name: (each["used"], each["limit"]) for name, each in shown.items()}


def test_files_beyond_the_quota_are_refused_until_some_are_deleted(small: Person) -> None:
    first = upload(small, 6000).raise_for_status().json()["id"]
    refused = upload(small, 5000)
    assert quota_of(refused) == "file_bytes"
    message = refused.json()["error"]["message"]
    assert "is 10000, and 6000 are in use" in message
    assert "DELETE /v1/files" in message
    assert quota_of(small.http.post("/uploads", json={**UPLOAD, "bytes": 4001})) == "file_bytes"
    assert quotas(small)["file_bytes"] == (6000, 10000)
    assert small.http.get(f"/files/{first}/content").status_code == 200, "everything else goes on"
    small.openai.files.delete(first)
    assert upload(small, 5000).status_code == 200
    for _ in range(2):
        upload(small, 1).raise_for_status()
    assert quota_of(upload(small, 1)) == "files"
    assert quota_of(small.http.post("/datasets", json={"url": "https://example.com/a.jsonl"})) == "files"
    assert quotas(small)["files"] == (3, 3)


def test_a_split_counts_both_parts_and_their_bytes(small: Person) -> None:
    file_id = small.upload(lines(40))
    assert row(Dataset, file_id).bytes > 3000
    split = {"file_id": file_id, "split": {"fraction": 0.5}}
    small.upload(lines(10))
    assert quota_of(small.http.post("/datasets", json=split)) == "files"


def test_two_uploads_at_once_do_not_share_the_last_free_bytes(small: Person) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: small.http.post("/uploads", json={**UPLOAD, "bytes": 6000}), range(8)))
    assert sorted(each.status_code for each in answers) == [200, *[429] * 7]
    assert quotas(small)["pending_uploads"] == (1, 2)


def test_pending_uploads_reserve_their_bytes_and_can_be_completed(small: Person) -> None:
    first, second = (
        small.http.post("/uploads", json={**UPLOAD, "bytes": size}).raise_for_status().json()["id"]
        for size in (9000, 1000)
    )
    assert quota_of(small.http.post("/uploads", json={**UPLOAD, "bytes": 1})) == "pending_uploads"
    assert quota_of(upload(small, 1)) == "file_bytes"
    part = small.openai.uploads.parts.create(second, data=b"x" * 1000).id
    small.openai.uploads.complete(second, part_ids=[part])
    assert quotas(small)["file_bytes"] == (10000, 10000)
    small.openai.uploads.cancel(first)
    assert quotas(small)["file_bytes"] == (1000, 10000)
    assert quotas(small)["pending_uploads"] == (0, 2)


def test_a_fetched_file_ends_at_the_quota(alice: Person, receiver: Receiver) -> None:
    with settings(TUNERY_QUOTAS__FILE_BYTES="1000"):
        made = alice.http.post("/datasets", json={"url": receiver.url}).raise_for_status().json()["id"]
        other = upload(alice, 1).raise_for_status().json()["id"]
        change(Dataset, other, bytes=1000)
        step(Dataset, made)
        assert row(Dataset, made).error_code == "quota_exceeded"


def test_keys_accounts_and_endpoints_have_quotas(small: Person, operator: Operator) -> None:
    path = f"/projects/{small.project_id}"
    key = operator.post(small, "api_keys")["id"]
    assert quota_of(operator.http.post(f"{path}/api_keys", json={})) == "api_keys"
    operator.http.delete(f"{path}/api_keys/{key}").raise_for_status()
    operator.post(small, "api_keys")
    account = {"api_key": "sk-1", "base_url": "https://api.example.com/v1", "name": "own"}
    operator.post(small, "credentials", **account)
    assert quota_of(operator.http.post(f"{path}/credentials", json=account)) == "credentials"
    small.http.post("/webhook_endpoints", json=HOOK).raise_for_status()
    refused = small.http.post("/webhook_endpoints", json=HOOK)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "too_many_endpoints")
    shown = quotas(small)
    assert (shown["api_keys"], shown["credentials"], shown["webhook_endpoints"]) == ((2, 2), (1, 1), (1, 1))


def test_samples_are_refused_beyond_the_events_of_a_day_and_jobs_go_on(small: Person) -> None:
    event = {"event_type": "dataset.failed"}
    answers = [small.http.post("/webhook_events", json=event) for _ in range(5)]
    assert [each.status_code for each in answers] == [200, 200, 200, 200, 429]
    assert quota_of(answers[-1]) == "events_per_day"
    job_id = small.create_job()
    assert small.openai.fine_tuning.jobs.cancel(job_id).status == "cancelled"
    assert quotas(small)["events_per_day"][0] >= 4


def test_idempotency_keys_are_refused_beyond_the_quota_and_repetitions_answered(small: Person) -> None:
    def create(key: str | None) -> Any:
        headers = {"idempotency-key": key} if key else {}
        return small.http.post("/uploads", json={**UPLOAD, "bytes": 10}, headers=headers)

    first = create("one").raise_for_status().json()["id"]
    small.openai.uploads.cancel(first)
    small.openai.uploads.cancel(create("two").json()["id"])
    assert quota_of(create("three")) == "idempotency_keys"
    assert create("one").json()["id"] == first
    assert create(None).status_code == 200


def test_a_project_has_quotas_of_its_own(small: Person, bob: Person, small_server: str) -> None:
    upload(small, 10000).raise_for_status()
    other = Person(small_server, bob.api_key, bob.project_id)
    assert upload(other, 10000).status_code == 200
    other.close()


def test_a_recent_count_is_not_asked_for_again_and_refuses_at_the_limit() -> None:
    asked = []

    def look() -> Use:
        asked.append(1)
        return Use(5, 8)

    recent = RecentCount()
    for _ in range(3):
        recent.take("files", "proj_1", look, "wait")
    with pytest.raises(QuotaExceeded, match="is 8, and 8 are in use"):
        recent.take("files", "proj_1", look, "wait")
    assert len(asked) == 1
    recent.take("files", "proj_2", look, "wait")


def test_a_quota_of_nothing_lets_nothing_in_and_none_everything(alice: Person) -> None:
    kind, project_id = EventType.JOB_CANCELLED, alice.project_id
    with (
        settings(TUNERY_QUOTAS__EVENTS_PER_DAY="0"),
        transaction(project_id) as session,
        pytest.raises(QuotaExceeded, match="is 0, and 0 are in use"),
    ):
        deliveries.make_sample(session, project_id, kind, sample(kind))
    with settings(TUNERY_QUOTAS__API_KEYS="none"), transaction() as session:
        assert projects.create_api_key(session, project_id, "another")
