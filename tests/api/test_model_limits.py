"""GET /v1/fine_tuning/model_limits."""

import pytest

from shared.database import transaction
from shared.projects.models import Credential, Project
from tests.api.training import meet_the_base_models
from tests.worker.support import ids, settings
from tests.world import Person, work, work_until_created

MODEL, SNAPSHOT, OTHER = "gpt-4o-mini", "gpt-4o-mini-2024-07-18", "gpt-4.1-2025-04-14"


@pytest.fixture
def asker(alice: Person) -> Person:
    meet_the_base_models(alice)
    return alice


def limit(person: Person, model: str = SNAPSHOT) -> tuple[int | None, int]:
    answer = person.http.get("/fine_tuning/model_limits")
    assert answer.status_code == 200, answer.text
    found = answer.json()[model]
    return found["max_concurrent_jobs"], found["active_jobs"]


def report(job_slots: dict[str, int]) -> None:
    with transaction() as session:
        session.get_one(Credential, ids(Credential)[0]).job_slots = job_slots


def test_every_base_model_has_a_limit(asker: Person) -> None:
    listed = {model.id for model in asker.openai.models.list()}
    assert asker.http.get("/fine_tuning/model_limits").json().keys() == listed


@pytest.mark.parametrize(
    ("reported", "configured", "of_project", "most"),
    [
        ({}, "{}", None, None),
        ({MODEL: 3}, "{}", None, 3),
        ({MODEL: 3}, '{"gpt-4o-mini": 5}', None, 5),
        ({MODEL: 3}, '{"*": 6}', None, 6),
        ({MODEL: 3}, "{}", 2, 2),
        ({}, "{}", 2, 2),
        ({"gpt-4.1": 3}, "{}", None, None),
    ],
)
def test_it_is_what_the_queue_goes_by(
    asker: Person, reported: dict[str, int], configured: str, of_project: int | None, most: int | None
) -> None:
    report(reported)
    with transaction() as session:
        session.get_one(Project, asker.project_id).max_active_jobs = of_project
    with settings(TUNERY_PROVIDER__SLOTS=configured):
        assert limit(asker) == (most, 0)


def test_active_jobs_are_those_of_the_project_that_are_at_the_provider(asker: Person, bob: Person) -> None:
    job_id = asker.create_job(model="gpt-4o-mini")
    assert limit(asker)[1] == 0
    work_until_created(job_id)
    assert (limit(asker)[1], limit(bob)[1]) == (1, 0)
    asker.openai.fine_tuning.jobs.cancel(job_id)
    work(5)
    assert limit(asker)[1] == 0
