"""How many jobs a project may create in a day, and have open: exactly, also when many come at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from openai import OpenAI, RateLimitError

from shared.database import transaction
from shared.db.ids import first_id
from shared.db.times import utc_now
from shared.jobs.models import Job
from tests.api.test_rate_limits import limit
from tests.worker.support import ids
from tests.world import Person


def create(person: Person, file_id: str) -> RateLimitError | None:
    try:
        person.create_job(training_file=file_id)
    except RateLimitError as error:
        return error
    return None


def test_of_twenty_creates_at_once_as_many_are_taken_as_may_be_open(alice: Person, bob: Person, admin: OpenAI) -> None:
    limit(admin, alice.project_id, alice.project_id, max_open_jobs=7)
    file_id = alice.upload()
    with ThreadPoolExecutor(20) as pool:
        refused = [error for error in pool.map(lambda _: create(alice, file_id), range(20)) if error]
    assert (len(refused), len(ids(Job))) == (13, 7)
    assert {error.code for error in refused} == {"open_jobs_limit_exceeded"}
    assert {error.response.headers["x-should-retry"] for error in refused} == {"false"}
    bob.create_job()
    alice.openai.fine_tuning.jobs.cancel(ids(Job)[0])
    assert create(alice, file_id) is None


def test_a_project_is_told_when_its_next_job_of_the_day_is_taken(alice: Person, admin: OpenAI) -> None:
    limit(admin, alice.project_id, alice.project_id, max_jobs_per_1_day=2)
    file_id = alice.upload()
    assert create(alice, file_id) is None
    _add_older_copy(ids(Job)[0])
    assert create(alice, file_id) is None
    refused = create(alice, file_id)
    assert refused
    assert (refused.code, refused.type) == ("daily_rate_limit_exceeded", "invalid_request_error")
    assert 86_000 < int(refused.response.headers["retry-after"]) <= 86_400
    assert refused.response.headers["x-should-retry"] == "false"
    assert f"{utc_now() + timedelta(days=1):%Y-%m-%d}" in refused.message


def _add_older_copy(job_id: str) -> None:
    """As if such a job had been created a little more than a day ago: its id says when."""
    old = first_id(Job.id_prefix, utc_now() - timedelta(days=1, seconds=1))
    with transaction() as session:
        session.add(Job(**{**session.get_one(Job, job_id).model_dump(), "id": old}))
