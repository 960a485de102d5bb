"""The fair queue above the provider's places: who waits, who is next, and what it costs."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from shared.database import transaction
from shared.jobs.models import Job, JobEvent, JobQueue, JobStatus, Place
from shared.jobs.places import base_of
from shared.projects import service as projects
from shared.projects.models import Credential
from shared.tables import utc_now
from tests.worker.levers import calls, change, ids, ready_job, running_job, settings
from tests.world import Person, Sandbox, row, step

CREATE = "POST /v1/fine_tuning/jobs"
JOBS = "/v1/fine_tuning/jobs"


@pytest.fixture
def one_place(alice: Person) -> Iterator[None]:
    with settings(TUNERY_PROVIDER__PLACES='{"*": 1}'):
        yield


def queued_job(person: Person, **values: Any) -> str:
    """The first job, with its files where they must be; it has asked its queue for a place."""
    job_id = ready_job(person, **values)
    step(Job, job_id)
    assert row(Job, job_id).place is Place.WAITING
    return job_id


def waiting_job(person: Person, file_id: str, **values: Any) -> str:
    """A job whose files are at the provider already, and that has asked its queue for a place."""
    job_id = person.create_job(training_file=file_id, **values)
    step(Job, job_id)
    return job_id


def admit() -> None:
    for queue_id in ids(JobQueue):
        step(JobQueue, queue_id)


def rank() -> None:
    """A round that tells positions, however lately that was done."""
    change(JobQueue, ids(JobQueue)[0], ranked_at=None, due_at=utc_now())
    admit()


def end(job_id: str) -> None:
    """As if the provider had trained it."""
    with transaction() as session:
        session.execute(
            text("update jobs set status = 'succeeded', place = null, due_at = null where id = :id"), {"id": job_id}
        )


def held() -> list[str]:
    with transaction() as session:
        return list(session.exec(select(Job.id).where(Job.place == Place.HELD).order_by(Job.id)))


def file_of(job_id: str) -> str:
    return str(row(Job, job_id).training_file)


def shown(person: Person, job_id: str) -> dict[str, Any]:
    return dict(person.http.get(f"/fine_tuning/jobs/{job_id}").json())


def messages(job_id: str) -> list[str]:
    with transaction() as session:
        query = select(JobEvent.message).where(JobEvent.job_id == job_id).order_by(JobEvent.id)
        return [message for message in session.exec(query) if "place" in message]


def test_without_any_places_configured_nobody_waits(alice: Person, sandbox: Sandbox) -> None:
    first = ready_job(alice)
    second = waiting_job(alice, file_of(first))
    step(Job, first)
    assert calls(sandbox, CREATE) == 2
    assert held() == [first, second]
    assert row(JobQueue, ids(JobQueue)[0]).due_at is None


def test_a_job_without_a_place_waits_and_costs_no_call_and_no_step(
    alice: Person, sandbox: Sandbox, one_place: None
) -> None:
    first = queued_job(alice)
    admit()
    step(Job, first)
    second = waiting_job(alice, file_of(first))
    admit()
    step(Job, first)
    job = row(Job, second)
    assert (job.status, job.place, job.provider_job_id, job.due_at) == (JobStatus.QUEUED, Place.WAITING, None, None)
    assert calls(sandbox, CREATE) == 1
    assert messages(first) == ["A place is free: the job goes to the provider"]
    assert messages(second) == ["Waiting for a free place at the provider: gpt-4o-mini has 1 running and 0 waiting"]


def test_places_that_the_provider_tells_of_count_like_configured_ones(alice: Person, sandbox: Sandbox) -> None:
    first = ready_job(alice)
    change(Credential, str(row(Job, first).credential_id), job_places={"gpt-4o-mini": 1})
    step(Job, first)
    second = waiting_job(alice, file_of(first))
    admit()
    assert (held(), row(Job, second).place) == ([first], Place.WAITING)
    with settings(TUNERY_PROVIDER__PLACES='{"*": 2}'):
        admit()
    assert held() == [first, second]


def test_it_starts_when_another_has_ended(alice: Person, sandbox: Sandbox, one_place: None) -> None:
    first = queued_job(alice)
    admit()
    step(Job, first)
    second = waiting_job(alice, file_of(first))
    admit()
    sandbox.move(row(Job, first).provider_job_id, status="succeeded")
    step(Job, first)
    assert row(JobQueue, ids(JobQueue)[0]).due_at <= utc_now()
    admit()
    step(Job, second)
    assert row(Job, second).provider_job_id in {job.id for job in sandbox.jobs()}
    assert messages(second)[-1] == "A place is free: the job goes to the provider"


def test_a_queue_without_anybody_in_it_has_no_steps(alice: Person, sandbox: Sandbox, one_place: None) -> None:
    first = queued_job(alice)
    admit()
    assert row(JobQueue, ids(JobQueue)[0]).due_at is None
    waiting_job(alice, file_of(first))
    admit()
    assert row(JobQueue, ids(JobQueue)[0]).due_at <= utc_now() + timedelta(seconds=30)


def test_a_snapshot_and_its_alias_share_the_places(alice: Person, sandbox: Sandbox) -> None:
    assert base_of("gpt-4o-mini-2024-07-18") == base_of("ft:gpt-4o-mini-2024-07-18:org::id") == "gpt-4o-mini"
    with settings(TUNERY_PROVIDER__PLACES='{"gpt-4o-mini-2024-07-18": 1, "*": 5}'):
        first = queued_job(alice)
        second = waiting_job(alice, file_of(first), model="gpt-4o-mini-2024-07-18")
        other = waiting_job(alice, file_of(first), model="gpt-4.1-mini")
        admit()
    assert held() == [first, other]
    assert row(Job, second).place is Place.WAITING


def test_a_waiting_job_is_cancelled_at_once_and_without_a_call(
    alice: Person, sandbox: Sandbox, one_place: None
) -> None:
    first = queued_job(alice)
    second = waiting_job(alice, file_of(first))
    admit()
    assert alice.openai.fine_tuning.jobs.cancel(second).status == "cancelled"
    assert row(Job, second).place is None
    alice.openai.fine_tuning.jobs.cancel(first)  # has a place, and is not at the provider yet
    admit()
    assert (calls(sandbox, CREATE), held()) == (0, [])


def test_a_waiting_job_that_is_paused_is_passed_over_and_keeps_its_turn(
    alice: Person, sandbox: Sandbox, one_place: None
) -> None:
    first = queued_job(alice)
    second, third = waiting_job(alice, file_of(first)), waiting_job(alice, file_of(first))
    admit()
    assert alice.http.post(f"/fine_tuning/jobs/{second}/pause").json()["status"] == "paused"
    rank()
    assert (shown(alice, second)["queue_position"], shown(alice, third)["queue_position"]) == (None, 1)
    assert alice.http.post(f"/fine_tuning/jobs/{second}/resume").json()["status"] == "queued"
    rank()
    assert (shown(alice, second)["queue_position"], shown(alice, third)["queue_position"]) == (1, 2)
    assert calls(sandbox, CREATE) == 0


def test_a_job_with_a_place_that_is_paused_before_it_is_created_gives_it_to_another(
    alice: Person, sandbox: Sandbox, one_place: None
) -> None:
    first = queued_job(alice)
    second = waiting_job(alice, file_of(first))
    admit()
    assert held() == [first]
    alice.http.post(f"/fine_tuning/jobs/{first}/pause").raise_for_status()
    admit()
    assert held() == [second]
    assert (row(Job, first).status, row(Job, first).due_at) == (JobStatus.PAUSED, None)


def test_a_paused_job_at_the_provider_leaves_its_place_to_others(
    alice: Person, sandbox: Sandbox, one_place: None
) -> None:
    first = queued_job(alice)
    admit()
    step(Job, first)
    second = waiting_job(alice, file_of(first))
    sandbox.move(row(Job, first).provider_job_id, status="paused")
    step(Job, first)
    admit()
    assert row(Job, second).place is Place.HELD


def test_a_file_of_a_waiting_job_cannot_be_deleted_also_while_it_is_paused(alice: Person, one_place: None) -> None:
    first = queued_job(alice)
    second = waiting_job(alice, file_of(first))
    admit()
    alice.http.post(f"/fine_tuning/jobs/{second}/pause").raise_for_status()
    end(first)
    assert alice.http.delete(f"/files/{file_of(first)}").json()["error"]["code"] == "file_in_use"


def test_priority_orders_inside_a_project_and_low_leaves_a_place_free(alice: Person, sandbox: Sandbox) -> None:
    with settings(TUNERY_PROVIDER__PLACES='{"*": 2}'):
        low = queued_job(alice, extra_body={"priority": "low"})
        file_id = file_of(low)
        lower = waiting_job(alice, file_id, extra_body={"priority": "low"})
        admit()
        assert held() == [low]
        normal = waiting_job(alice, file_id)
        high = waiting_job(alice, file_id, extra_body={"priority": "high"})
        admit()
        assert held() == sorted([low, high])
        rank()
        told = [shown(alice, id)["queue_position"] for id in (normal, lower)]
        assert told == [1, 2]
        assert [shown(alice, id)["priority"] for id in (low, normal, high)] == ["low", "normal", "high"]


def test_a_priority_that_is_none_is_refused(alice: Person) -> None:
    body = {"model": "gpt-4o-mini", "training_file": alice.upload(), "priority": "highest"}
    assert alice.http.post("/fine_tuning/jobs", json=body).json()["error"]["param"] == "priority"


def test_a_project_has_no_more_places_than_it_may_and_others_do_not_wait_for_it(
    alice: Person, bob: Person, sandbox: Sandbox
) -> None:
    with transaction() as session:
        projects.update_project(session, alice.project_id, max_active_jobs=1)
    with settings(TUNERY_PROVIDER__PLACES='{"*": 3}'):
        first = queued_job(alice)
        second = waiting_job(alice, file_of(first))
        bobs = queued_job(bob)
        admit()
        assert held() == [first, bobs]
    with transaction() as session:
        projects.update_project(session, alice.project_id, max_active_jobs=0)
    with settings(TUNERY_PROVIDER__MAX_ACTIVE_JOBS="2"):
        third = waiting_job(alice, file_of(first))
        admit()
        assert held() == [first, second, bobs]
        assert row(Job, third).place is Place.WAITING


def test_positions_and_the_expected_start_are_told(alice: Person, sandbox: Sandbox, one_place: None) -> None:
    first = queued_job(alice)
    admit()
    waiting = [waiting_job(alice, file_of(first)) for _ in range(4)]
    rank()
    assert [shown(alice, id)["queue_position"] for id in [first, *waiting]] == [None, 1, 2, 3, 4]
    assert shown(alice, waiting[0])["estimated_start"] is None
    for _ in range(2):
        end(held()[0])
        admit()
    now = utc_now().timestamp()
    change(JobQueue, ids(JobQueue)[0], freed_at=[now - 200, now - 100])
    rank()
    assert [shown(alice, id)["queue_position"] for id in waiting] == [None, None, 1, 2]
    starts = [shown(alice, id)["estimated_start"] for id in waiting[2:]]
    assert [round((start - now) / 100) for start in starts] == [2, 4]


def full(sandbox: Sandbox, what: str = "3 active fine-tuning jobs", **fault: Any) -> None:
    code = "daily_rate_limit_exceeded" if "per day" in what else "active_job_limit_exceeded"
    message = f"Your organization has reached the maximum of {what} for the model 'gpt-4o-mini'."
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    sandbox.arm("POST", JOBS, status=429, body={"error": error}, **fault)


def test_jobs_that_the_provider_refuses_for_their_number_wait_without_asking_again(
    alice: Person, sandbox: Sandbox
) -> None:
    first = ready_job(alice)
    file_id = file_of(first)
    full(sandbox, "8 fine-tuning requests per day", headers={"retry-after": "900"})
    step(Job, first)
    later = [waiting_job(alice, file_id) for _ in range(3)]
    admit()
    assert calls(sandbox, CREATE) == 1
    assert [row(Job, id).place for id in (first, *later)] == [Place.WAITING] * 4
    queue = row(JobQueue, ids(JobQueue)[0])
    assert timedelta(seconds=890) < queue.lowered_until - utc_now() <= timedelta(seconds=900)
    other = waiting_job(alice, file_id, model="gpt-4.1-mini")
    assert row(Job, other).provider_job_id is not None


def test_when_the_pause_is_over_they_are_tried_one_at_a_time(alice: Person, sandbox: Sandbox) -> None:
    first = ready_job(alice)
    full(sandbox, "8 fine-tuning requests per day")
    step(Job, first)
    second = waiting_job(alice, file_of(first))
    change(JobQueue, ids(JobQueue)[0], lowered_until=utc_now())
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
    assert (queue.is_careful, queue.retries, queue.due_at) == (False, 0, None)
    assert len(sandbox.jobs()) == 2


def test_of_jobs_at_once_the_next_goes_when_one_has_ended(alice: Person, sandbox: Sandbox) -> None:
    first, _ = running_job(alice, sandbox)
    full(sandbox, "1 active fine-tuning jobs")
    second = waiting_job(alice, file_of(first))
    admit()
    assert row(JobQueue, ids(JobQueue)[0]).lowered_to == 1
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
        pauses.append(row(JobQueue, queue_id).lowered_until - utc_now())
        change(JobQueue, queue_id, lowered_until=utc_now())
        admit()
    assert pauses == sorted(pauses)
    assert len([m for m in alice.openai.fine_tuning.jobs.list_events(first) if "has reached" in m.message]) == 1


def rounds(places: int, count: int) -> Counter[str]:
    """So many times all jobs that have a place end; how many each project was given."""
    given: Counter[str] = Counter()
    for _ in range(count):
        admit()
        with transaction() as session:
            found = session.exec(select(Job.project_id, Job.id).where(Job.place == Place.HELD)).all()
        assert len(found) <= places
        given.update(project_id for project_id, _ in found)
        for _, job_id in found:
            end(job_id)
    return given


def copies(job_id: str, count: int) -> None:
    """More jobs like this one, in the same queue."""
    with transaction() as session:
        job = session.get_one(Job, job_id)
        for _ in range(count):
            session.add(Job(**job.model_dump(exclude={"id", "queue_position", "estimated_start_at"})))


def test_free_places_are_shared_by_weight_and_many_jobs_give_no_more(
    alice: Person, bob: Person, sandbox: Sandbox
) -> None:
    with transaction() as session:
        projects.update_project(session, bob.project_id, weight=2)
    with settings(TUNERY_PROVIDER__PLACES='{"*": 3}'):
        copies(queued_job(alice), 60)
        copies(queued_job(bob), 20)
        given = rounds(3, 10)
    assert (given[alice.project_id], given[bob.project_id]) == (10, 20)


def test_who_comes_late_is_in_the_next_round_and_has_no_credit(alice: Person, bob: Person, sandbox: Sandbox) -> None:
    with settings(TUNERY_PROVIDER__PLACES='{"*": 2}'):
        copies(queued_job(alice), 30)
        rounds(2, 8)
        copies(queued_job(bob), 10)
        given = rounds(2, 1)
        assert given[bob.project_id] >= 1
        given += rounds(2, 4)
    assert given[bob.project_id] - given[alice.project_id] in {0, 2}  # at most the first turn goes to who comes
