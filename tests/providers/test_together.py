"""What only Together's client does: signed uploads, places that were never filled, ids of events, words in capitals."""

import json
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

import pytest

from shared.db.times import utc_now
from shared.jobs.models import JobStatus, Level
from shared.projects.credentials import Account
from shared.providers.dialects import Dialect
from shared.security.secrets import seal
from tests.providers.stand_ins import EXPIRY, LONG_AGO, Far, far_of, new_file
from tests.world import Sandbox, lines
from worker.providers.errors import ProviderError
from worker.providers.together.client import TogetherProvider
from worker.providers.together.parsing import STATUSES

pytestmark = pytest.mark.usefixtures("server")  # for the settings
NAME = "file-a.jsonl"
METRICS = "/v1/fine-tunes/*/metrics"
PREPROCESS = "/v1/files/*/preprocess"


@pytest.fixture
def together(server: str, speaking: Callable[[str], Sandbox]) -> Iterator[Far]:
    with far_of(Dialect.TOGETHER, speaking) as together:
        yield together


@cache
def client_of_own_account(base_url: str) -> TogetherProvider:
    """Kept, as the worker keeps its clients."""
    sealed = seal("sk-sandbox", "proj_own/cred_own/api_key")
    account = Account("cred_own", "proj_own", base_url, Dialect.TOGETHER, 1, sealed)
    return TogetherProvider(account, timedelta(seconds=30), STATUSES)


def switch(far: Far, **switches: Any) -> None:
    far.sandbox.http.post("/sandbox/together", json=switches).raise_for_status()


def announce(far: Far, name: str = NAME) -> None:
    """An upload that ends after its first call."""
    form = {"purpose": "fine-tune", "file_name": name, "file_type": "jsonl", "checksum": sha256(lines()).hexdigest()}
    parts = {name: (None, value) for name, value in form.items()}
    assert far.sandbox.http.post("/v1/files", files=parts).status_code == 302


def failure_of(far: Far) -> ProviderError:
    with pytest.raises(ProviderError) as failure:
        far.file()
    assert "signature" not in "".join(traceback.format_exception(failure.value))
    return failure.value


@pytest.mark.parametrize("redirects", [0, 1, 3])
def test_a_file_follows_redirects_of_its_storage(together: Far, redirects: int) -> None:
    switch(together, redirects=redirects)
    file = together.file()
    assert b"".join(together.provider.read_file(file.id)) == lines()


def test_a_storage_that_redirects_for_ever_is_given_up(together: Far) -> None:
    switch(together, redirects=50)
    assert failure_of(together).effect_unknown


@pytest.mark.parametrize(("status", "retryable"), [(400, True), (401, True), (403, True), (404, False), (500, True)])
def test_a_storage_that_refuses_says_so_without_its_address(together: Far, status: int, retryable: bool) -> None:
    switch(together, storage_status=status)
    assert failure_of(together).retryable is retryable
    assert str(status) in failure_of(together).message


def test_an_own_account_is_not_led_to_a_private_address(together: Far) -> None:
    own = client_of_own_account(f"{together.sandbox.address}/v1")
    assert own.create_file(new_file(NAME, lines()), EXPIRY).bytes == len(lines())
    switch(together, storage="http://10.0.0.1")
    with pytest.raises(ProviderError) as failure:
        own.create_file(new_file(NAME, lines(20)), EXPIRY)
    assert failure.value.code == "provider_unavailable"
    assert "signature" not in "".join(traceback.format_exception(failure.value))


def test_the_same_content_is_one_file(together: Far) -> None:
    first, second = together.file(), together.file(name="file-b.jsonl")
    assert first == second
    assert [file.id for file in together.provider.list_files()] == [first.id]


def test_a_place_that_was_never_filled_is_filled_by_the_next_attempt(together: Far) -> None:
    announce(together)
    assert together.provider.find_file(NAME, len(lines()), LONG_AGO) is None
    assert together.file().bytes == len(lines())
    assert len(together.provider.list_files()) == 1


def test_an_address_that_has_expired_is_asked_for_again(together: Far) -> None:
    switch(together, storage_status=403, unfinished_conflicts=True)
    error = failure_of(together)
    assert (error.code, error.retryable, error.effect_unknown) == ("signed_address_refused", True, False)
    switch(together, storage_status=200, unfinished_conflicts=True)
    assert failure_of(together).code == "file_not_ready"
    assert together.file().bytes == len(lines())
    assert len(together.provider.list_files()) == 1


def test_a_place_of_ones_own_that_is_in_the_way_is_taken_away_at_once(together: Far) -> None:
    switch(together, unfinished_conflicts=True)
    announce(together, NAME)
    error = failure_of(together)
    assert (error.code, error.retryable, error.effect_unknown) == ("file_not_ready", True, False)
    assert together.provider.list_files() == []
    assert together.file().bytes == len(lines())


def test_a_place_of_another_dataset_is_waited_for_and_then_taken_away(together: Far) -> None:
    switch(together, unfinished_conflicts=True)
    announce(together, f"file-b-{sha256(lines()).hexdigest()[:12]}.jsonl")
    assert failure_of(together).code == "file_not_ready"
    assert len(together.provider.list_files()) == 1
    together.sandbox.arm("GET", "/v1/files/*", body={"created_at": long_ago()})
    assert failure_of(together).code == "file_not_ready"
    assert together.provider.list_files() == []
    assert together.file().bytes == len(lines())


GOOD: list[dict[str, Any]] = [
    {"bytes": 5, "processing_status": "COMPLETED"},
    {"bytes": None, "processing_status": "COMPLETED"},
    {"bytes": None, "processing_status": "RUNNING", "filename": NAME},
    {"bytes": 5, "processing_status": None, "filename": "somebody-elses.jsonl"},
]


@pytest.mark.parametrize("shown", GOOD, ids=str)
def test_a_file_that_may_be_good_is_never_deleted(together: Far, shown: dict[str, Any]) -> None:
    good = together.file()
    together.sandbox.arm("GET", "/v1/files/*", body={"created_at": long_ago(), **shown})
    assert together.file().id == good.id
    assert [file.id for file in together.provider.list_files()] == [good.id]


def long_ago() -> int:
    return int((utc_now() - timedelta(hours=2)).timestamp())


def test_a_file_that_was_sent_and_not_examined_is_examined_when_it_is_found(together: Far) -> None:
    together.sandbox.arm("POST", PREPROCESS, drop="before")
    assert failure_of(together).effect_unknown
    found = together.provider.find_file(NAME, len(lines()), LONG_AGO)
    assert found is not None
    assert together.sandbox.http.get(f"/v1/files/{found.id}").json()["processing_status"] == "COMPLETED"


@pytest.mark.parametrize("oldest_first", [True, False])
def test_lists_are_newest_first_in_whichever_order_they_come(together: Far, oldest_first: bool) -> None:
    switch(together, oldest_first=oldest_first)
    jobs = [{"id": f"ft-{day}", "status": "running", "created_at": f"2026-11-0{day}T00:00:00Z"} for day in (1, 3, 2)]
    together.answer("list_jobs", {"data": jobs})
    since = datetime(2026, 11, 1, tzinfo=UTC)
    assert [job.id for job in together.provider.list_jobs(since)] == ["ft-3", "ft-2", "ft-1"]


def test_events_that_say_the_same_in_the_same_moment_are_two_at_every_look(together: Far) -> None:
    said = {"type": "warning", "level": "warning", "message": "Slow.", "created_at": "2026-11-01T00:00:00.123456789Z"}
    job = together.running_job()
    together.answer("new_events", {"data": [said, said]}, times=2)
    first, second = (together.provider.new_events(job.id, None) for _ in range(2))
    assert first == second
    assert len({event.id for event in first}) == 2
    assert {event.level for event in first} == {Level.WARN}


def test_metrics_that_come_later_than_the_events_after_them_are_given(together: Far) -> None:
    said = [{"type": "checkpoint_save", "message": "Saved.", "step": 10, "created_at": "2026-11-01T00:01:00Z"}]
    job = together.running_job()
    together.answer("new_events", {"data": said}, times=2)
    shown = [{"train/global_step": step, "train/loss": 1.0} for step in (5, 10)]
    together.sandbox.arm("GET", METRICS, status=200, body=json.dumps({"metrics": shown[:1]}))
    together.sandbox.arm("GET", METRICS, status=200, body=json.dumps({"metrics": shown}))
    before = together.provider.new_events(job.id, None)
    assert before[-1].message == "Saved."
    later = together.provider.new_events(job.id, before[-1].id)
    assert [event.id for event in later if event not in before] == ["step-10-train"]


def test_words_in_capitals_mean_the_same(together: Far) -> None:
    said = [{"type": "JOB_USER_ERROR", "level": "Error", "message": "Too long.", "created_at": "2026-11-01T00:00:00Z"}]
    job = together.running_job()
    together.answer("get_job", {"id": job.id, "status": "user_error", "events": said})
    together.answer("new_events", {"data": said})
    seen = together.provider.get_job(job.id)
    assert (seen.status, seen.error and seen.error.message) == (JobStatus.FAILED, "Too long.")
    [event] = together.provider.new_events(job.id, None)
    assert (event.level, event.data) == (Level.ERROR, {"type": "job_user_error"})


ODD_METRICS: list[Any] = [None, "none", [5], [{"train/loss": 1.0}], [{"train/global_step": "3", "train/loss": 1.0}]]


@pytest.mark.parametrize("metrics", ODD_METRICS, ids=str)
def test_metrics_that_cannot_be_read_are_none(together: Far, metrics: Any) -> None:
    job = together.running_job()
    together.sandbox.arm("GET", METRICS, status=200, body=json.dumps({"metrics": metrics}))
    assert not [event for event in together.provider.new_events(job.id, None) if event.type == "metrics"]


def test_a_metric_keeps_its_step_and_only_numbers(together: Far) -> None:
    odd = {
        "train/global_step": 3,
        "train/loss": 1.5,
        "eval/loss": 2.5,
        "train/is_odd": True,
        "train/\0": 1,
        "train/x": "y",
    }
    job = together.running_job()
    together.sandbox.arm("GET", METRICS, status=200, body=json.dumps({"metrics": [odd]}))
    train, valid = [event for event in together.provider.new_events(job.id, None) if event.type == "metrics"]
    assert (train.id, train.data) == ("step-3-train", {"step": 3, "train_loss": 1.5, "train_\ufffd": 1})
    assert (valid.id, valid.data) == ("step-3-valid", {"step": 3, "valid_loss": 2.5})
