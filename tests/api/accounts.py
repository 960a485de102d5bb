"""A project's own accounts at providers, as the operator gives them to it."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from shared.database import transaction
from shared.jobs.models import Job
from shared.projects import service as projects
from shared.projects.models import Credential
from tests.world import Person, Sandbox, row, step

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Question 7"}]}


@pytest.fixture
def admin(clean: str) -> Iterator[httpx2.Client]:
    """The operator."""
    with transaction() as session:
        _, secret = projects.create_api_key(session, None, "operator")
    with httpx2.Client(base_url=clean, headers={"authorization": f"Bearer {secret}"}, timeout=60) as admin:
        yield admin


def path(person: Person, *more: str) -> str:
    return "/".join([f"/organization/projects/{person.project_id}/credentials", *more])


def give(
    admin: httpx2.Client, person: Person, sandbox: Sandbox, key: str = "sk-sandbox", *, meet: bool = True, **values: Any
) -> str:
    """An account of the person's project at the sandbox, met by the worker unless it is to be as new as can be."""
    new = {"name": "own", "base_url": f"{sandbox.address}/v1", "api_key": key, **values}
    made: str = admin.post(path(person), json=new).raise_for_status().json()["id"]
    if meet:
        step(Credential, made)
    return made


def row_of(person: Person, job_id: str) -> tuple[str, str]:
    found = row(Job, job_id)
    assert person.openai.fine_tuning.jobs.retrieve(job_id).to_dict()["provider"] == found.provider
    return found.credential_id, found.provider
