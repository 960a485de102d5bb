"""A provider that takes no more jobs for now: which jobs wait, how long, and which starts first afterwards."""

from datetime import timedelta
from typing import Any

from shared.db.times import utc_now
from shared.jobs.models import Job, Slot
from shared.jobs.queue.models import JobQueue
from tests.worker.queues import admit, file_of, held, waiting_job
from tests.worker.support import calls, change, ids, ready_job, running_job
from tests.world import Person, Sandbox, row, step

CREATE = "POST /v1/fine_tuning/jobs"
JOBS = "/v1/fine_tuning/jobs"


def full(sandbox: Sandbox, what: str = "3 active fine-tuning jobs", **fault: Any) -> None:
    code = "daily_rate_limit_exceeded" if "per day" in what else "active_job_limit_exceeded"
    message = f"Your organization has reached the maximum of {what} for the model 'gpt-4o-mini'."
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    sandbox.arm("POST", JOBS, status=429, body={"error": error}, **fault)


def test_jobs_refused_for_their_number_wait_without_another_call(alice: Person, sandbox: Sandbox) -> None:
    first = ready_job(alice)
    file_id = file_of(first)
    full(sandbox, "8 fine-tuning requests per day", headers={"retry-after": "900"})
    step(Job, first)
    later = [waiting_job(alice, file_id) for _ in range(3)]
    admit()
    assert calls(sandbox, CREATE) == 1
    assert [row(Job, id).slot for id in (first, *later)] == [Slot.WAITING] * 4
    queue = row(JobQueue, ids(JobQueue)[0])
    assert timedelta(seconds=800) < queue.provider_limit_until - utc_now() <= timedelta(seconds=900)
    other = waiting_job(alice, file_id, model="gpt-4.1-mini")
    assert row(Job, other).provider_job_id is not None


def test_after_the_pause_one_job_is_tried_at_a_time(alice: Person, sandbox: Sandbox) -> None:
    first = ready_job(alice)
    full(sandbox, "8 fine-tuning requests per day")
    step(Job, first)
    second = waiting_job(alice, file_of(first))
    change(JobQueue, ids(JobQueue)[0], provider_limit_until=utc_now())
    admit()
    assert held() == [first]
    admit()
    assert held() == [first]
    step(Job, first)
    admit()
    assert held() == [first, second]
    step(Job, second)
    admit()
    queue = row(JobQueue, ids(JobQueue)[0])
    assert (queue.creates_one_at_a_time, queue.retries, queue.due_at) == (False, 0, None)
    assert len(sandbox.jobs()) == 2


def test_the_next_job_starts_when_one_has_ended(alice: Person, sandbox: Sandbox) -> None:
    first, _ = running_job(alice, sandbox)
    full(sandbox, "1 active fine-tuning jobs")
    second = waiting_job(alice, file_of(first))
    admit()
    assert row(JobQueue, ids(JobQueue)[0]).provider_limit == 1
    assert held() == [first]
    sandbox.move(row(Job, first).provider_job_id, status="succeeded")
    step(Job, first)
    admit()
    assert held() == [second]


def test_each_refusal_makes_the_pause_longer(alice: Person, sandbox: Sandbox) -> None:
    first, pauses = ready_job(alice), []
    for _ in range(4):
        full(sandbox, "8 fine-tuning requests per day")
        step(Job, first)
        queue_id = ids(JobQueue)[0]
        pauses.append(row(JobQueue, queue_id).provider_limit_until - utc_now())
        change(JobQueue, queue_id, provider_limit_until=utc_now())
        admit()
    assert pauses == sorted(pauses)
    assert len([m for m in alice.openai.fine_tuning.jobs.list_events(first) if "has reached" in m.message]) == 1
