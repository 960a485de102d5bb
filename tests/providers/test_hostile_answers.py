"""Answers that never end, come in drops, or are larger than they look: each ends as one error that says why."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.providers.dialects import Dialect
from tests.hostile_servers import (
    DRIPPING,
    ENDLESS,
    OK,
    OPEN_END,
    UNREADABLE,
    Talk,
    answering,
    events,
    gzipped,
    paging,
    sending,
)
from tests.providers.stand_ins import EXPIRY, LONG_AGO, STAND_INS, client, new_file
from tests.servers import talking
from tests.worker.support import settings
from worker.net import call_limits
from worker.providers.errors import ProviderError
from worker.providers.openai import kept
from worker.providers.protocol import Provider

pytestmark = pytest.mark.usefixtures("server")  # for the settings
LONG = timedelta(seconds=600)

CALLS: dict[str, Callable[[Provider], object]] = {
    "list_base_models": lambda provider: provider.list_base_models(),
    "get_job": lambda provider: provider.get_job("ftjob-1"),
    "job_pages": lambda provider: list(provider.job_pages()),
    "new_events": lambda provider: provider.new_events("ftjob-1", None),
    "create_file": lambda provider: provider.create_file(new_file("a.jsonl", b"{}\n"), EXPIRY),
    "cancel_job": lambda provider: provider.cancel_job("ftjob-1"),
    "delete_file": lambda provider: provider.delete_file("file-1"),
    "read_file": lambda provider: [len(piece) for piece in provider.read_file("file-1")],
}
DIALECTS = (Dialect.OPENAI, Dialect.AZURE, Dialect.TOGETHER, Dialect.FIREWORKS, Dialect.NEBIUS, Dialect.MANTLE)
LISTS = dict.fromkeys(DIALECTS, frozenset({"job_pages", "new_events"}))
LISTS |= {Dialect.FIREWORKS: frozenset({"list_base_models", "job_pages"})}
NO_METRICS = (
    b'step,loss\n1,"' + b"2" * 140_000 + b'"\n',
    b"step\rx,loss\n1,2\n",
    b"step,loss\n1,2\r3,4\n",
    b'{"step": 1e999, "loss": 1}\n' + b"[" * 30_000 + b"\n",
    b'{"step": ' + b"1" * 5000 + b', "loss": 1}\n',
)
ADDRESSED = {Dialect.FIREWORKS}  # a file is read in two calls: the first asks where it is
LACKING = {(stand_in.dialect, method) for stand_in in STAND_INS for method in stand_in.lacks}
LACKING |= {(Dialect.TOGETHER, "job_pages")}  # a list that is read item by item: `test_long_lists`
ASKED = [(dialect, call) for dialect in DIALECTS for call in CALLS if (dialect, call) not in LACKING]
DRIPS = [
    (talk, dialect, call)
    for talk in DRIPPING
    for dialect, call in ASKED
    if dialect is Dialect.OPENAI or talk == "a body in drops"  # all stand on one client, and each takes its time
]


def error_of(
    talk: Talk, call: Callable[[Provider], object], timeout: timedelta = LONG, dialect: Dialect = Dialect.OPENAI
) -> ProviderError:
    with talking(talk) as visits, pytest.raises(ProviderError) as failure:
        call(client(dialect, f"http://127.0.0.1:{visits.port}/v1", timeout))
    assert failure.value.effect_unknown
    return failure.value


@pytest.mark.parametrize(("dialect", "call"), ASKED)
@pytest.mark.parametrize("talk", ENDLESS)
def test_an_answer_that_never_ends_is_cut_at_a_bound_that_is_named(talk: str, call: str, dialect: Dialect) -> None:
    error = error_of(ENDLESS[talk], CALLS[call], dialect=dialect)
    reads_file = call == "read_file" and dialect not in ADDRESSED
    assert error.code == "provider_answer_too_large"
    assert f"more than {call_limits.MAX_FILE_BYTES if reads_file else ''}" in error.message
    assert error.message.endswith(("bytes", "values"))
    assert error.retryable == (call not in LISTS[dialect] and not reads_file)


@pytest.mark.parametrize(("talk", "dialect", "call"), DRIPS)
def test_a_call_ends_in_time_however_slowly_it_is_answered(talk: str, call: str, dialect: Dialect) -> None:
    error = error_of(DRIPPING[talk], CALLS[call], timedelta(seconds=0.5), dialect)
    assert (error.code, error.retryable) == ("provider_timeout", True)
    assert "0.5 s" in error.message


def addressed(then: Talk) -> Talk:
    """Show a dataset and a job whose files are at an address here; what comes there is answered as `then` does."""
    first = iter([True])

    def talk(visitor: Any, over: Any) -> None:
        if not next(first, False):
            return then(visitor, over)
        there = f"http://127.0.0.1:{visitor.getsockname()[1]}/signed?token=secret"
        job = {"name": "accounts/v1/supervisedFineTuningJobs/ftjob-1", "state": "JOB_STATE_COMPLETED"}
        shown = {**job, "metricsFileSignedUrl": there, "filenameToSignedUrls": {"a.jsonl": there}}
        return answering(OK, json.dumps(shown).encode())(visitor, over)

    return talk


LINES = sending(OK + OPEN_END, forever=b'{"step": 1}\n' * 5000)


@pytest.mark.parametrize("talk", ENDLESS.values(), ids=list(ENDLESS))
def test_a_file_at_a_signed_address_is_bounded_and_its_address_is_not_told(talk: Talk) -> None:
    error = error_of(addressed(talk), CALLS["read_file"], dialect=Dialect.FIREWORKS)
    assert (error.code, error.retryable) == ("provider_answer_too_large", False)
    assert f"more than {call_limits.MAX_FILE_BYTES}" in error.message
    assert "signed" not in error.message


@pytest.mark.parametrize("talk", [*ENDLESS.values(), LINES, *(answering(OK, text) for text in NO_METRICS)])
def test_a_file_of_metrics_that_has_none_is_as_good_as_none(talk: Talk) -> None:
    with talking(addressed(talk)) as visits:
        events = client(Dialect.FIREWORKS, f"http://127.0.0.1:{visits.port}/v1").new_events("ftjob-1", None)
    assert {event.type for event in events} == {"message"}
    assert visits.count == 2


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("talk", UNREADABLE)
def test_an_answer_that_cannot_be_read_is_none(talk: str, dialect: Dialect) -> None:
    error = error_of(UNREADABLE[talk], CALLS["list_base_models"], dialect=dialect)
    assert (error.code, error.retryable) == ("provider_unavailable", True)


def test_a_call_ends_before_the_lease_whatever_its_timeout() -> None:
    with settings(TUNERY_LEASE="1"):
        assert "0.8 s" in error_of(DRIPPING["a body in drops"], CALLS["list_base_models"], LONG).message


def test_what_is_kept_of_a_list_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_KEPT_BYTES", 3 << 20)
    error = error_of(paging(events(size=20_000)), CALLS["new_events"])
    assert (error.code, error.retryable) == ("provider_answer_too_large", False)
    assert "the events take more than" in error.message


def test_jobs_that_never_end_are_bounded_by_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_KEPT_BYTES", 3 << 20)
    number = iter(range(10**9))

    def jobs() -> Any:
        while True:
            made = [{"id": f"ftjob-{next(number)}", "model": "m" * 50_000} for _ in range(100)]
            yield json.dumps({"object": "list", "data": made, "has_more": True}).encode()

    error = error_of(paging(jobs()), lambda provider: provider.list_jobs(LONG_AGO))
    assert "the jobs take more than" in error.message


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_error_answer_without_end_is_cut_short(dialect: Dialect) -> None:
    head = b"HTTP/1.1 400 Bad Request\r\n" + OPEN_END
    for call in ("list_base_models", "read_file"):
        error = error_of(sending(head, forever=b"a" * 65536), CALLS[call], dialect=dialect)
        assert f"more than {call_limits.MAX_ERROR_BYTES} bytes" in error.message


def test_what_comes_compressed_all_the_same_is_read() -> None:
    body = {"object": "list", "data": [{"id": "gpt-4o-mini"}]}
    with talking(gzipped(json.dumps(body).encode())) as visits:
        [model] = client(Dialect.OPENAI, f"http://127.0.0.1:{visits.port}/v1").list_base_models()
    assert model.id == "gpt-4o-mini"


def test_identity_is_asked_for() -> None:
    heads: list[bytes] = []

    def talk(visitor: Any, over: Any) -> None:
        heads.append(visitor.recv(65536))
        visitor.sendall(OK + OPEN_END + b'{"object": "list", "data": []}')

    with talking(talk) as visits:
        client(Dialect.OPENAI, f"http://127.0.0.1:{visits.port}/v1").list_base_models()
    assert b"accept-encoding: identity\r\n" in heads[0].lower()
