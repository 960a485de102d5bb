"""An account whose models must be deployed, for tests of deployments: the provider of `tests.providers.deploying`.

Its client takes the place of Azure's in the registry: no kind of provider is made up for tests.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest

from shared.db.times import utc_now
from shared.deployments.models import Deployment
from shared.jobs.models import Job
from shared.providers import capabilities
from shared.providers.dialects import Dialect
from shared.settings import get_settings
from tests.api.accounts import give
from tests.providers.deploying import ProviderOfTests
from tests.worker.support import change
from tests.world import Person, Sandbox, row, sandbox_of, step, work_until_created
from worker.providers import registry
from worker.providers.openai import parsing

ABLE = replace(capabilities.CAPABILITIES[Dialect.AZURE], needs_deployment=True)
ENTRY = registry.Entry(ProviderOfTests, parsing.STATUSES)


def register(patch: pytest.MonkeyPatch) -> None:
    """`patch` takes it back; a process that is started for a test never does."""
    patch.setitem(capabilities.CAPABILITIES, Dialect.AZURE, ABLE)
    patch.setitem(registry.PROVIDERS, Dialect.AZURE, ENTRY)


@dataclass(frozen=True)
class World:
    """Alice, her own account at a provider that deploys, and a model that one of her jobs has made there."""

    person: Person
    sandbox: Sandbox
    credential_id: str
    model: str

    def ask(self, **values: Any) -> httpx2.Response:
        return self.person.http.post("/deployments", json={"model": self.model, **values})

    def asked(self, **values: Any) -> str:
        made: str = self.ask(**values).raise_for_status().json()["id"]
        return made

    def starting(self, **values: Any) -> str:
        id = self.asked(**values)
        step(Deployment, id)
        return id

    def ready(self, **values: Any) -> str:
        id = self.starting(**values)
        self.move(id, status="ready")
        step(Deployment, id)
        assert row(Deployment, id).status == "ready"
        return id

    def shown(self, id: str) -> Any:
        return self.person.http.get(f"/deployments/{id}").raise_for_status().json()

    def move(self, id: str, **where: Any) -> None:
        self.sandbox.http.post(f"/sandbox/deployments/{id}", json=where).raise_for_status()

    def running(self) -> list[Any]:
        """What runs at the provider, and costs money."""
        found = self.sandbox.http.get("/sandbox/deployments").raise_for_status().json()["data"]
        return [each for each in found if each["status"] != "stopped"]

    def chat(self, **values: Any) -> httpx2.Response:
        body = {"model": self.model, "messages": [{"role": "user", "content": "Question 7"}], **values}
        return self.person.http.post("/chat/completions", json=body)


def pass_grace(id: str) -> None:
    """Make `create_grace` have passed since the create whose outcome is unknown."""
    change(Deployment, id, create_pending_at=utc_now() - get_settings().create_grace)


@pytest.fixture(scope="session")
def deploying_sandbox() -> Iterator[Sandbox]:
    with sandbox_of("deploying") as sandbox:
        yield sandbox


@pytest.fixture
def world(
    alice: Person, admin: httpx2.Client, deploying_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    register(monkeypatch)
    deploying_sandbox.reset()
    credential_id = give(admin, alice, deploying_sandbox, dialect="azure")
    yield World(alice, deploying_sandbox, credential_id, trained(alice, deploying_sandbox))
    deploying_sandbox.disarm()


def trained(person: Person, sandbox: Sandbox) -> str:
    job_id = person.create_job()
    sandbox.move(work_until_created(job_id), status="succeeded")
    step(Job, job_id)
    model: str = row(Job, job_id).fine_tuned_model
    return model
