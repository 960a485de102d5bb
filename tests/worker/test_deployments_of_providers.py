"""A model of each provider that deploys, from its job to a chat and to its end, by the worker and the real clients."""

from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from shared.deployments.models import Deployment
from shared.jobs.models import Job
from shared.projects.models import Credential
from shared.providers.capabilities import CAPABILITIES
from tests.api.accounts import admin as admin
from tests.api.accounts import give
from tests.deployed import World
from tests.providers.stand_ins import STAND_INS, StandIn, logins_at
from tests.worker.support import settings
from tests.worker.test_deployment_hours import limit, sums
from tests.world import Person, row, sandbox_of, step, work_until_created

MACHINES: dict[str, tuple[dict[str, Any], str | None, int]] = {
    "azure": ({"sku": "GlobalStandard"}, "GlobalStandard", 1),
    "nebius": ({}, None, 1),
    "fireworks": (
        {"accelerator": "NVIDIA_H100_80GB", "accelerators": 2, "max_replicas": 3},
        "NVIDIA_H100_80GB",
        6,
    ),
    "together": ({"hardware": "1x_nvidia_h100_80gb_sxm", "min_replicas": 4}, "1x_nvidia_h100_80gb_sxm", 4),
}
DEPLOYING = [each for each in STAND_INS if each.options or CAPABILITIES[each.dialect].needs_deployment]


@pytest.fixture(params=DEPLOYING, ids=lambda stand_in: stand_in.name)
def world(request: pytest.FixtureRequest, alice: Person, admin: httpx2.Client) -> Iterator[World]:
    stand_in: StandIn = request.param
    with ExitStack() as started:
        sandbox = started.enter_context(sandbox_of(stand_in.wire))
        base_url = f"{sandbox.address}{stand_in.base}"
        started.enter_context(settings(**logins_at(sandbox)))
        account: dict[str, Any] = {"dialect": stand_in.dialect, "base_url": base_url, "options": dict(stand_in.options)}
        credential_id = give(admin, alice, sandbox, **account)
        job_id = alice.create_job(model=stand_in.model)
        sandbox.move(work_until_created(job_id, rounds=12), status="succeeded")
        step(Job, job_id)
        assert row(Job, job_id).status == "succeeded"
        yield World(alice, sandbox, credential_id, row(Job, job_id).fine_tuned_model)


def test_all_machines_that_are_asked_for_are_reserved_and_a_project_with_a_limit_names_none_without_a_price(
    world: World, admin: httpx2.Client
) -> None:
    limit(admin, world, 100_000)
    provider = row(Credential, world.credential_id).provider
    options, machine, count = MACHINES[provider]
    with settings(TUNERY_DEPLOYMENTS__PRICES_PER_HOUR=f'{{"{provider}": "2.50"}}'):
        answer = world.ask(provider_options=options)
        if machine is None:
            assert answer.status_code == 200
        else:
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "cost_unknown")
            assert machine in answer.json()["error"]["message"]
            assert sums(world)[1] == 0
    if machine is not None:
        with settings(TUNERY_DEPLOYMENTS__PRICES_PER_HOUR=f'{{"{provider}/{machine}": "2.50"}}'):
            world.ask(provider_options=options).raise_for_status()
    assert sums(world)[1] == count * Decimal("2.50")


def test_a_model_is_deployed_chatted_with_and_stopped(world: World) -> None:
    assert world.chat().json()["error"]["code"] == "model_not_deployed"
    id = world.starting()
    for _ in range(6):
        if row(Deployment, id).status == "ready":
            break
        world.move(id, status="ready")
        step(Deployment, id)
    assert row(Deployment, id).status == "ready", row(Deployment, id)
    answer = world.chat()
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"]
    world.person.http.delete(f"/deployments/{id}").raise_for_status()
    for _ in range(3):
        step(Deployment, id)
    assert (row(Deployment, id).status, world.running()) == ("stopped", [])
