"""Jobs at whatever point of their life a test wants to look at."""

from typing import Any

from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from tests.world import Person, Sandbox, work, work_until_created


def move(person: Person, sandbox: Sandbox, job_id: str, status: str, **where: Any) -> FineTuningJob:
    """The job once it stands so at the provider, and we have looked."""
    sandbox.move(work_until_created(job_id), status=status, **where)
    work()
    return leniently(person).fine_tuning.jobs.retrieve(job_id)


def leniently(person: Person) -> OpenAI:
    """The SDK as it is delivered: it reads `paused`, which OpenAI sends and its specification does not know."""
    return OpenAI(base_url=person.base_url, api_key=person.api_key, max_retries=0, http_client=person.http)


def train(person: Person, sandbox: Sandbox, **values: Any) -> FineTuningJob:
    """A job that has succeeded."""
    return move(person, sandbox, person.create_job(**values), "succeeded")


def model_of(job: FineTuningJob) -> str:
    assert job.fine_tuned_model
    return job.fine_tuned_model


def meet_the_base_models(person: Person) -> list[str]:
    """The provider's base models, once the worker has asked for them."""
    person.openai.models.list()
    work()
    return [model.id for model in person.openai.models.list()]
