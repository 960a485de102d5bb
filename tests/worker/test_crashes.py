"""A worker that is killed between any two lines that matter, and what becomes of its job."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from shared.database import transaction
from shared.datasets.models import Dataset, ProviderFile
from shared.jobs.models import Job
from shared.jobs.queue.models import JobQueue
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookDelivery, WebhookEndpoint
from tests.servers import Receiver
from tests.worker.crashes import FAULTS, MOST_CRASHES, POINTS, Crashes
from tests.worker.kill_points import (
    BOUNDARIES,
    check_provider,
    check_webhooks,
    kill_and_go_on,
    kill_while_sending,
    let_succeed,
)
from tests.worker.reach_steps import World
from tests.worker.support import endpoint_of, pass_create_grace, settings
from tests.world import Person, Sandbox, row, step

GOES_ON_DIFFERENTLY = ["upload", "create"]
"""After a crash these look for what is there, instead of doing the same again."""


@pytest.fixture(scope="module")
def crashes(server: str) -> Iterator[Crashes]:
    with Crashes.ready() as crashes:
        yield crashes


@pytest.fixture
def world(alice: Person, sandbox: Sandbox, receiver: Receiver, crashes: Crashes) -> Iterator[World]:
    endpoint_of(alice, receiver.url, *[type for type in EventType if type.startswith("fine_tuning.job.")])
    with settings(TUNERY_PROVIDER__SLOTS='{"*": 3}', TUNERY_MAX_STEP_FAILURES=MOST_CRASHES):
        yield World(alice, sandbox, receiver, crashes)


@pytest.mark.parametrize("what", [what for what in BOUNDARIES if what not in GOES_ON_DIFFERENTLY])
def test_a_job_ends_as_it_would_have_though_workers_are_killed_at_each_point_of_a_step(world: World, what: str) -> None:
    check_webhooks(world, [kill_and_go_on(world, what, *BOUNDARIES[what])])


@pytest.mark.parametrize("what", GOES_ON_DIFFERENTLY)
def test_a_job_ends_as_it_would_have_at_whatever_point_its_worker_is_killed(world: World, what: str) -> None:
    check_webhooks(world, [kill_and_go_on(world, what, point) for point in BOUNDARIES[what]])


def test_a_large_file_arrives_once_though_workers_are_killed_all_along(world: World) -> None:
    kill_while_sending(world)


def test_jobs_end_as_they_would_have_though_workers_die_anywhere_and_the_provider_fails(world: World) -> None:
    chance = random.Random(4)
    job_ids = [world.person.create_job() for _ in range(3)]
    for _ in range(40):
        if all(row(Job, job_id).status.is_final for job_id in job_ids):
            break
        for model, id in _due():
            if chance.random() < 0.2:
                world.sandbox.arm("*", "/v1/**", **chance.choice(FAULTS))
            if chance.random() < 0.25:
                world.crashes.work(model, id, chance.choice(list(POINTS)))
            else:
                step(model, id)
        world.sandbox.disarm()
        _let_time_pass(world, job_ids)
    for job_id in job_ids:
        assert row(Job, job_id).status == "succeeded"
        check_provider(world, job_id)
    check_webhooks(world, job_ids)


def _due() -> list[tuple[type[Any], str]]:
    """What has a next step, in the order in which they feed one another."""
    with transaction() as session:
        return [
            (model, id)
            for model in (Dataset, ProviderFile, JobQueue, Job, WebhookDelivery)
            for id in session.exec(select(model.id).where(col(model.due_at).is_not(None)))
        ]


def _let_time_pass(world: World, job_ids: list[str]) -> None:
    for job_id in job_ids:
        job = row(Job, job_id)
        if job.create_pending_at is not None:
            pass_create_grace(job_id)
        if job.provider_job_id is not None and not job.status.is_final:
            let_succeed(world, job_id)
    with transaction() as session:
        session.exec(update(WebhookEndpoint).values(paused_until=None))
