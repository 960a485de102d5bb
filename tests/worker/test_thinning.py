"""The metrics of jobs that ended long ago are thinned; their curve and all messages stay."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from shared.database import get_engine, transaction
from shared.db.times import utc_now
from shared.jobs.models import Job, JobEvent
from shared.jobs.thinning import EVENTS_PER_BATCH, thin_metrics
from tests.worker.support import change, forget_all, settings
from tests.world import Person

STEPS = 100
VALIDATED = (33, 66)


def trained(person: Person, *, days_ago: int, steps: int = STEPS) -> str:
    """A job that ended then, with metrics of each step, and validation at two of them."""
    job_id = person.create_job()
    person.openai.fine_tuning.jobs.cancel(job_id)
    change(Job, job_id, finished_at=utc_now() - timedelta(days=days_ago))
    rows = [_event(person, job_id, number) for number in range(1, steps + 1)]
    with transaction() as session:
        session.exec(insert(JobEvent), params=[row.model_dump() for row in rows])
    return job_id


def _event(person: Person, job_id: str, step: int) -> JobEvent:
    data: dict[str, Any] = {"step": step, "train_loss": 1.0} | ({"valid_loss": 2.0} if step in VALIDATED else {})
    return JobEvent(project_id=person.project_id, job_id=job_id, type="metrics", message=f"Step {step}", data=data)


def steps(job_id: str) -> list[int]:
    with Session(get_engine()) as session:
        query = select(JobEvent.data).where(JobEvent.job_id == job_id, JobEvent.type == "metrics")
        return [data["step"] for data in session.exec(query.order_by(col(JobEvent.id))) if data]


def messages(job_id: str) -> int:
    with Session(get_engine()) as session:
        return len(session.exec(select(JobEvent.id).where(JobEvent.job_id == job_id, JobEvent.type == "message")).all())


def test_of_an_old_curve_the_ends_every_kth_point_and_each_validation_stay(alice: Person) -> None:
    old, young = trained(alice, days_ago=91), trained(alice, days_ago=89)
    before = messages(old)
    with settings(TUNERY_RETENTION__METRICS_POINTS="10"):
        forget_all()
    assert steps(old) == sorted({1, STEPS, *VALIDATED, *range(10, STEPS, 10)})
    assert messages(old) == before > 0
    assert steps(young) == list(range(1, STEPS + 1))


def test_a_long_curve_is_thinned_in_several_batches_to_the_same_points_as_in_one(alice: Person) -> None:
    job_id = trained(alice, days_ago=91, steps=2 * EVENTS_PER_BATCH + 10)
    batches = 0
    with settings(TUNERY_RETENTION__METRICS_POINTS="10"):
        while True:
            with transaction() as session:
                if thin_metrics(session, utc_now()) == 0:
                    break
            batches += 1
    last = 2 * EVENTS_PER_BATCH + 10
    assert batches == 2
    assert steps(job_id) == sorted({1, last, *VALIDATED, *(number * last // 10 for number in range(1, 10))})


def test_points_that_are_far_apart_stay_all(alice: Person) -> None:
    job_id = trained(alice, days_ago=91, steps=5)
    every_thousandth = "update job_events set data = jsonb_build_object('step', 1000 * (data ->> 'step')::int)"
    with transaction() as session:
        session.execute(text(f"{every_thousandth} where type = 'metrics'"))
    with settings(TUNERY_RETENTION__METRICS_POINTS="5"):
        forget_all()
    assert steps(job_id) == [1000, 2000, 3000, 4000, 5000]


def test_a_curve_is_thinned_once(alice: Person) -> None:
    job_id = trained(alice, days_ago=91)
    with settings(TUNERY_RETENTION__METRICS_POINTS="10"):
        forget_all()
    thinned = steps(job_id)
    with settings(TUNERY_RETENTION__METRICS_POINTS="3"):
        forget_all()
    assert steps(job_id) == thinned


def test_a_curve_with_few_points_keeps_them_all(alice: Person) -> None:
    job_id = trained(alice, days_ago=91)
    forget_all()
    assert steps(job_id) == list(range(1, STEPS + 1))


def test_none_keeps_every_point_for_good(alice: Person) -> None:
    job_id = trained(alice, days_ago=10_000)
    with settings(TUNERY_RETENTION__METRICS="none", TUNERY_RETENTION__METRICS_POINTS="10"):
        forget_all()
    assert steps(job_id) == list(range(1, STEPS + 1))
