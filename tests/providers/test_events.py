"""Events and checkpoints of a job: each once, in order, across pages."""

from typing import Any

import pytest

from tests.providers.stand_ins import Far

LONG = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 20, "batch_size": 1}}}


@pytest.fixture
def long_job(far: Far) -> str:
    """A job with more events than a page holds, which goes on."""
    far.needs("new_events")
    job = far.running_job(method=LONG)
    far.sandbox.move(job.id, step=150)
    return job.id


def test_events_come_once_and_in_order_across_pages(far: Far, long_job: str) -> None:
    events = far.provider.new_events(long_job, None)
    ids = [event.id for event in events]
    interval = far.stand_in.step_interval
    assert len(ids) == len(set(ids)) > 100 // interval
    steps = [event.data["step"] for event in events if event.data and "step" in event.data]
    assert steps == sorted(steps)
    assert steps[-1] == 150 - 150 % interval


def test_only_events_after_the_last_one_seen_come(far: Far, long_job: str) -> None:
    before, repeats = far.provider.new_events(long_job, None), far.stand_in.repeats_events
    assert far.provider.new_events(long_job, before[-1].id) == (before if repeats else [])
    assert far.provider.new_events(long_job, before[-3].id) == (before if repeats else before[-2:])
    far.sandbox.move(long_job, step=160)
    new = far.provider.new_events(long_job, before[-1].id)
    assert len(new) > len(before) if repeats else new
    assert [*([] if repeats else before), *new] == far.provider.new_events(long_job, None)


def test_an_event_that_is_not_known_any_more_loses_none(far: Far, long_job: str) -> None:
    assert far.provider.new_events(long_job, "ftevent-gone") == far.provider.new_events(long_job, None)


def test_an_event_says_what_happened_and_when(far: Far, long_job: str) -> None:
    [metrics, *_] = [event for event in far.provider.new_events(long_job, None) if event.type == "metrics"]
    assert metrics.message
    assert metrics.created_at is not None
    assert metrics.data is not None
    assert metrics.data["total_steps"] == 240


def test_checkpoints_are_announced_and_come_in_order(far: Far) -> None:
    far.needs("checkpoints")
    job = far.running_job(method=LONG)
    assert far.provider.checkpoints(job.id) == []
    assert not any(event.saves_checkpoint for event in far.provider.new_events(job.id, None))
    far.sandbox.move(job.id, status="succeeded")
    saved = far.provider.checkpoints(job.id)
    assert [each.step_number for each in saved] == sorted({each.step_number for each in saved})
    assert len(saved) > 1
    assert all(each.model and each.metrics and each.created_at for each in saved)
    assert any(event.saves_checkpoint for event in far.provider.new_events(job.id, None))


ODD_CHECKPOINTS: list[dict[str, Any]] = [
    {"fine_tuned_model_checkpoint": None, "step_number": 2},
    {"fine_tuned_model_checkpoint": "ft:2", "step_number": 2**40},
    {"fine_tuned_model_checkpoint": 7, "step_number": 1},
    {"step_number": 1},
]


def test_a_checkpoint_that_nobody_could_use_is_left_out(far: Far) -> None:
    far.needs("checkpoints")
    job = far.running_job()
    far.answer("checkpoints", far.stand_in.page(ODD_CHECKPOINTS) | {"has_more": False})
    assert far.provider.checkpoints(job.id) == []
