"""Together's list of all jobs, which has no pages: long ones are read, and hostile ones end at a bound."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from shared.providers.dialects import Dialect
from tests.hostile_servers import OK, OPEN_END, Talk, answering, gzipped, sending
from tests.providers.stand_ins import LONG_AGO, client
from tests.servers import talking
from worker.net import call_limits
from worker.providers.errors import ProviderError
from worker.providers.protocol import Provider
from worker.providers.rest import long_list, pages

pytestmark = pytest.mark.usefixtures("server")  # for the settings
OURS = "ftjob-01jdqq0v7xk4m5n8p2r6s9t3wz"
READS: dict[str, Callable[[Provider], object]] = {
    "find_jobs": lambda provider: provider.find_jobs(OURS, LONG_AGO, ""),
    "list_jobs": lambda provider: provider.list_jobs(LONG_AGO),
    "job_pages": lambda provider: list(provider.job_pages()),
    "delete_model": lambda provider: provider.delete_model("sandbox/Qwen3-8B"),
}
LIST = OK + OPEN_END + b'{"object": "list", "data": ['
JOB = b'{"id": "ft-1", "status": "running"},'


def others(count: int) -> bytes:
    """So many jobs of somebody else, of some 900 bytes and 60 values each."""
    job = {
        "id": "ft-0",
        "status": "completed",
        "created_at": "2020-01-01T00:00:00Z",
        "suffix": "theirs",
        "events": [{}] * 60,
    }
    return b",".join([json.dumps({**job, "about": "x" * 600}).encode()] * count)


def asked(talk: Talk, call: Callable[[Provider], Any], timeout: timedelta = timedelta(seconds=600)) -> Any:
    with talking(talk) as visits:
        return call(client(Dialect.TOGETHER, f"http://127.0.0.1:{visits.port}/v1", timeout))


def error_of(talk: Talk, call: Callable[[Provider], Any], timeout: timedelta = timedelta(seconds=600)) -> ProviderError:
    with pytest.raises(ProviderError) as failure:
        asked(talk, call, timeout)
    assert failure.value.effect_unknown
    return failure.value


def test_a_job_of_ours_is_found_in_a_list_beyond_the_bounds_of_other_answers() -> None:
    mine = json.dumps({"id": "ft-ours", "status": "running", "suffix": f"a-{OURS.removeprefix('ftjob-')}"}).encode()
    body = b'{"data": [' + b",".join([others(6000), mine, others(6000)]) + b"]}"
    assert len(body) > call_limits.MAX_JSON_BYTES
    assert body.count(b"{") > call_limits.MAX_JSON_VALUES
    for name in ("find_jobs", "list_jobs"):
        [found] = asked(answering(OK, body), READS[name])
        assert (found.id, found.mark and found.mark.job_id) == ("ft-ours", OURS)


def test_what_is_not_kept_takes_no_memory() -> None:
    piece = others(280)

    def chunks() -> Iterator[bytes]:
        yield b'{"data": [' + piece
        for _ in range(100):
            yield b"," + piece
        yield b"]}"

    tracemalloc.start()
    try:
        assert sum(1 for _ in long_list.items(chunks())) == 280 * 101
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * len(piece) < call_limits.MAX_JSON_BYTES


ENDLESS: dict[str, Talk] = {
    "jobs": sending(LIST, forever=JOB * 2000),
    "a text": sending(LIST + b'{"id": "', forever=b"a" * 65536),
    "values in a job": sending(LIST + b'{"events": [', forever=b"{}," * 20_000),
    "a text beside the list": sending(OK + OPEN_END + b'{"object": "', forever=b"a" * 65536),
    "numbers": sending(LIST + b'{"id": ', forever=b"1" * 65536),
    "space": sending(LIST, forever=b" " * 65536),
    "space after the list": sending(LIST + b"]}", forever=b" " * 65536),
}


@pytest.mark.parametrize("talk", ENDLESS.values(), ids=list(ENDLESS))
def test_a_list_that_never_ends_is_cut_at_a_bound_that_is_named(talk: Talk) -> None:
    error = error_of(talk, READS["find_jobs"])
    assert (error.code, error.retryable) == ("provider_answer_too_large", False)
    assert "more than" in error.message


@pytest.mark.parametrize("read", READS)
def test_the_number_of_objects_is_bounded(monkeypatch: pytest.MonkeyPatch, read: str) -> None:
    monkeypatch.setattr(long_list, "MAX_ITEMS", 100)
    error = error_of(sending(LIST, forever=JOB), READS[read])
    assert "more than 100 values" in error.message


SLOW: dict[str, Talk] = {
    "in drops": sending(LIST, forever=b" ", every=0.1),
    "in silence": sending(LIST + JOB, forever=b"", every=0.1),
}


@pytest.mark.parametrize("talk", SLOW.values(), ids=list(SLOW))
def test_a_list_that_comes_slowly_ends_in_time(talk: Talk) -> None:
    error = error_of(talk, READS["find_jobs"], timedelta(seconds=0.5))
    assert (error.code, error.retryable) == ("provider_timeout", True)
    assert "0.5 s" in error.message


def test_a_list_that_comes_in_time_again_and_again_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_LIST_SECONDS", 0.0)
    error = error_of(ENDLESS["jobs"], READS["find_jobs"])
    assert (error.code, error.retryable) == ("provider_timeout", True)
    assert "was not read within" in error.message


CUT_OFF = [b"", b"{", b'{"data"', b'{"data": [', b'{"data": [' + JOB, b'{"data": [' + JOB[:-1], b'{"data": []']
NO_LISTS = [b'"a"', b"[]", b"[" * 100_000, b'{"data": [' + b"[" * 100_000, b'{"data": [5]}', b'{"data": {}}', b"{}"]
NO_LISTS += [b'{"data": []} {}', b'{"data": [], "data": []}', b'{"data": [{}{}]}', b"{5: []}", b'{"data": [\xff]}']
NO_LISTS += [b'{"data": [{},]}', b'{"data": 5', b'{"data": nul}']


@pytest.mark.parametrize("body", CUT_OFF + NO_LISTS, ids=lambda body: body[:20].decode("utf-8", "replace"))
def test_what_is_no_whole_list_is_not_acted_on(body: bytes) -> None:
    for read in READS.values():
        error = error_of(answering(OK, body), read)
        assert (error.code, error.retryable) == ("provider_unavailable", True)


def test_a_bomb_is_read_in_pieces() -> None:
    error = error_of(gzipped(b'{"data": [' + b" " * (1 << 27)), READS["find_jobs"])
    assert error.code == "provider_answer_too_large"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_the_pieces_in_which_a_list_comes_make_no_difference(size: int) -> None:
    listed = [{"id": "ä\u20ac\U0001f600", "n": [1, -2.5e3, None, True], "of": {'"]},': "\\"}}, {}, {"n": 12345}]
    for text in (
        json.dumps({"before": 12, "data": listed, "after": [1]}, ensure_ascii=False),
        json.dumps({"data": []}),
    ):
        body = f" {text}\n".encode()
        pieces = (body[at : at + size] for at in range(0, len(body), size))
        assert list(long_list.items(pieces)) == json.loads(text)["data"]
