"""Brings jobs into the state that a test needs."""

from typing import Any

from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from tests.world import Person, Sandbox, work, work_until_created


def move(person: Person, sandbox: Sandbox, job_id: str, status: str, **where: Any) -> FineTuningJob:
    """Set the job's state at the provider, poll it, and return it."""
    sandbox.move(work_until_created(job_id), status=status, **where)
    work()
    return leniently(person).fine_tuning.jobs.retrieve(job_id)


def leniently(person: Person) -> OpenAI:
    """The SDK without strict validation: it accepts `paused`, which OpenAI sends but does not specify."""
    return OpenAI(base_url=person.base_url, api_key=person.api_key, max_retries=0, http_client=person.http)


def train(person: Person, sandbox: Sandbox, **values: Any) -> FineTuningJob:
    """Create a job, let it succeed, and return it."""
    return move(person, sandbox, person.create_job(**values), "succeeded")


def model_of(job: FineTuningJob) -> str:
    assert job.fine_tuned_model
    return job.fine_tuned_model


def meet_the_base_models(person: Person) -> list[str]:
    """Let the worker fetch the provider's base models, and return their ids."""
    person.openai.models.list()
    work()
    return [model.id for model in person.openai.models.list()]
