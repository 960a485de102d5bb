"""Answers that no provider should give: what can be used of them is used, and the rest is an error."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.providers.stand_ins import STAND_INS, Far
from worker.providers.errors import ProviderError

ID = "ID"  # in place of the field that has it
NO_OBJECTS: list[Any] = [None, [], "<html>", 5, True, {}, {ID: None}, {ID: ""}, {ID: 7}, {ID: "a\0b"}]
CALLS: dict[str, Callable[[Far], object]] = {
    "create_job": lambda far: far.job(),
    "get_job": lambda far: far.provider.get_job("ftjob-any"),
    "cancel_job": lambda far: far.provider.cancel_job("ftjob-any"),
    "create_file": lambda far: far.file(),
}


@pytest.mark.parametrize("body", NO_OBJECTS, ids=str)
@pytest.mark.parametrize("call", CALLS)
def test_an_answer_without_an_id_is_no_answer(far: Far, call: str, body: Any) -> None:
    if isinstance(body, dict):
        if call in far.stand_in.wordless:
            return
        body = dict.fromkeys(body and [far.stand_in.id_field], body.get(ID))
    far.answer(call, body)
    with pytest.raises(ProviderError, match="could not be read") as failure:
        CALLS[call](far)
    assert (failure.value.retryable, failure.value.effect_unknown) == (True, True)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["text/html", "application/json", "text/plain"])
def test_a_page_of_a_proxy_with_200_is_no_answer(far: Far, call: str, kind: str) -> None:
    far.fault(call, status=200, body="<html>Sign in</html>", headers={"content-type": kind})
    with pytest.raises(ProviderError) as failure:
        CALLS[call](far)
    assert (failure.value.code, failure.value.effect_unknown) == ("provider_unavailable", True)


@pytest.mark.parametrize("number", range(max(len(stand_in.odd_jobs) for stand_in in STAND_INS)))
def test_odd_fields_of_a_job_are_not_believed(far: Far, number: int) -> None:
    if number >= len(far.stand_in.odd_jobs):
        return
    job = far.running_job()
    odd = far.stand_in.odd_jobs[number]
    far.fault("get_job", body=odd)
    seen = far.provider.get_job(job.id)
    assert (seen.id, seen.status) == (job.id, far.provider.get_job(job.id).status)
    for name in {far.stand_in.attributes.get(name, name) for name in odd} & {
        "model",
        "seed",
        "trained_tokens",
        "fine_tuned_model",
        "finished_at",
        "training_file",
    }:
        assert getattr(seen, name) is None, name
    assert seen.result_files == ()
    assert seen.error is None or (seen.error.code, seen.error.message) == (None, None)


def test_texts_that_no_table_can_hold_are_made_storable(far: Far) -> None:
    job = far.running_job()
    [raw] = far.raw_jobs()
    error = {"code": "\0", "message": "\0 and \ud800", "param": "\udfff"}
    kept = {"code": "\ufffd", "message": "\ufffd and \ufffd", "param": "\ufffd"}
    for fields in (far.stand_in.failed(error), far.stand_in.succeeded("ft:\0"), far.stand_in.status_field("\0")):
        far.answer("get_job", raw | fields)
    failed, succeeded, odd = (far.provider.get_job(job.id) for _ in range(3))
    assert failed.error is not None
    for name in far.stand_in.error_names:
        assert getattr(failed.error, name) == kept[name]
    assert (succeeded.fine_tuned_model, odd.provider_status) == ("ft:\ufffd", "\ufffd")


EVENTS: list[dict[str, Any]] = [
    {"message": "\0 and \ud800", "type": "\0", "data": {"\0": ["\ud800", {"step": 2**70}]}},
    {"message": None, "type": None, "level": None, "data": "none"},
    {"created_at": 1893456000000, "level": {}, "data": {"step": 2**31}},
    {"created_at": "2026-11-23T00:00:00Z", "data": []},
]


@pytest.mark.parametrize("odd", EVENTS, ids=str)
def test_an_odd_event_is_kept_as_far_as_it_can_be(far: Far, odd: dict[str, Any]) -> None:
    far.needs_list("new_events")
    far.answer("new_events", far.stand_in.page([{"id": "ftevent-1"} | odd]), times=4)
    job = far.running_job()
    [event] = far.provider.new_events(job.id, None)
    assert event.id == "ftevent-1" or not far.stand_in.events_have_ids
    assert "\0" not in f"{event.message}{event.type}{event.data}"
    assert far.provider.new_events(job.id, event.id) == ([event] if far.stand_in.repeats_events else [])


def test_an_event_without_an_id_is_left_out(far: Far) -> None:
    """It could not be told from one that is recorded already."""
    far.needs_list("new_events")
    if not far.stand_in.events_have_ids:
        pytest.skip(f"{far.stand_in.name} gives no ids: those that its client makes are tested beside this")
    far.answer("new_events", far.stand_in.page([{"id": None, "message": "?"}, {"id": "ftevent-1", "message": "!"}]))
    far.answer("new_events", far.stand_in.page([]))
    assert [event.message for event in far.provider.new_events(far.running_job().id, None)] == ["!"]
