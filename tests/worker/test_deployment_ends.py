"""Nothing runs on, and costs money, that nobody wants: whatever happens at the same moment or fails meanwhile."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from shared.database import transaction
from shared.db.times import utc_now
from shared.deployments import ends
from shared.deployments import service as deployments
from shared.deployments.deployable import find_deployable
from shared.deployments.models import Deployment
from shared.deployments.schemas import DeploymentCreate
from shared.errors import Invalid
from shared.jobs.models import Job, JobStatus
from shared.projects import service as projects
from shared.projects.models import Credential, Project
from tests.api.accounts import admin as admin
from tests.api.accounts import path
from tests.deployed import World
from tests.deployed import deploying_sandbox as deploying_sandbox
from tests.deployed import world as world
from tests.worker.support import change, wait_until_blocked
from tests.world import row, step, work_until_created


def deploy_on_success(world: World, admin: httpx2.Client) -> None:
    admin.post(f"/organization/projects/{world.person.project_id}", json={"deploy_on_success": True}).raise_for_status()


def deployments_of(job_id: str) -> list[Any]:
    with transaction() as session:
        return list(session.exec(deployments.open_ones(row(Job, job_id).project_id)).all())


def test_one_that_was_ready_and_starts_again_without_end_is_stopped_when_idle(world: World) -> None:
    id = world.ready(idle_timeout=600)
    world.move(id, status="starting")
    step(Deployment, id)
    assert row(Deployment, id).status == "starting"
    change(Deployment, id, ready_at=utc_now() - timedelta(seconds=601))
    step(Deployment, id)
    shown = world.shown(id)
    assert (shown["status"], shown["reason"]["code"], world.running()) == ("stopped", "idle", [])


def test_strays_are_stopped_while_the_models_cannot_be_listed(world: World) -> None:
    ended = world.asked()
    world.person.http.delete(f"/deployments/{ended}")
    world.sandbox.http.post("/v1/deployments", json={"name": ended, "model": world.model}).raise_for_status()
    world.sandbox.arm("GET", "/v1/models", status=403)
    step(Credential, world.credential_id)
    assert row(Credential, world.credential_id).test_error is not None
    assert world.running() == []


def test_a_model_is_neither_deployed_again_nor_deleted_until_the_former_deployment_has_stopped(world: World) -> None:
    id = world.ready()
    world.person.http.delete(f"/deployments/{id}")
    for refused, code in (
        (world.ask(), "model_already_deployed"),
        (world.person.http.delete(f"/models/{world.model}"), "model_in_use"),
    ):
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, code)
        assert f"{id}" in refused.json()["error"]["message"]
        assert "wait until it has stopped" in refused.json()["error"]["message"]
    step(Deployment, id)
    assert world.ask().status_code == 200


def test_a_model_that_is_being_deployed_at_this_moment_is_not_deleted(world: World) -> None:
    project_id = world.person.project_id

    def delete() -> None:
        with transaction(project_id) as session:
            ends.delete_model(session, project_id, world.model)

    with ThreadPoolExecutor(1) as pool:
        with transaction(project_id) as session:
            found = find_deployable(session, project_id, world.model)
            project = session.get_one(Project, project_id)
            deployments.begin(session, project, found, DeploymentCreate(model=world.model))
            session.flush()
            other = pool.submit(delete)
            wait_until_blocked(session, other)
        with pytest.raises(Invalid) as refusal:
            other.result()
    assert refusal.value.code == "model_in_use"
    assert world.person.http.get(f"/models/{world.model}").status_code == 200


@pytest.mark.parametrize("is_wanted", [True, False])
def test_an_account_says_whether_what_is_made_there_is_deployed(
    world: World, admin: httpx2.Client, is_wanted: bool
) -> None:
    account = path(world.person, world.credential_id)
    changed = admin.post(account, json={"deploy_on_success": is_wanted}).raise_for_status().json()
    assert changed["deploy_on_success"] is is_wanted
    job_id = world.person.create_job()
    world.sandbox.move(work_until_created(job_id), status="succeeded")
    step(Job, job_id)
    assert len(deployments_of(job_id)) == is_wanted
    told = [each.message for each in world.person.openai.fine_tuning.jobs.list_events(job_id)]
    assert any("its account has `deploy_on_success`" in each for each in told) is is_wanted


@pytest.mark.parametrize("is_wanted", [True, False])
def test_what_a_job_says_goes_before_what_its_project_says(world: World, admin: httpx2.Client, is_wanted: bool) -> None:
    if not is_wanted:
        deploy_on_success(world, admin)
    first = world.person.create_job(extra_body={"deploy_on_success": is_wanted})
    copy = world.person.create_job(extra_body={"from_job": first})
    for number, job_id in enumerate((first, copy), start=1):
        world.sandbox.move(work_until_created(job_id), status="succeeded")
        step(Job, job_id)
        assert len(deployments_of(job_id)) == number * is_wanted
        told = [each.message for each in world.person.openai.fine_tuning.jobs.list_events(job_id)]
        assert any("its job has `deploy_on_success`" in each for each in told) is is_wanted
        assert world.person.http.get(f"/fine_tuning/jobs/{job_id}").json()["deploy_on_success"] is is_wanted


def test_a_job_of_an_archived_project_deploys_nothing(world: World, admin: httpx2.Client) -> None:
    deploy_on_success(world, admin)
    job_id = world.person.create_job()
    there = work_until_created(job_id)
    admin.post(f"/organization/projects/{world.person.project_id}/archive").raise_for_status()
    world.sandbox.move(there, status="succeeded")
    for _ in range(3):
        step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED
    assert deployments_of(job_id) == []


def test_a_job_that_succeeds_while_its_project_is_archived_waits_for_nothing(
    world: World, admin: httpx2.Client
) -> None:
    """The archive waits for the job's row in turn."""
    deploy_on_success(world, admin)
    job_id = world.person.create_job()
    world.sandbox.move(work_until_created(job_id), status="succeeded")
    with transaction() as session:
        projects.archive_project(session, world.person.project_id)
        step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED
    assert deployments_of(job_id) == []


def test_a_name_that_no_request_may_have_is_an_event_of_the_job(world: World, admin: httpx2.Client) -> None:
    deploy_on_success(world, admin)
    job_id = world.person.create_job()
    there = work_until_created(job_id)
    world.sandbox.move(there, status="succeeded")
    seen = world.sandbox.http.get(f"/v1/fine_tuning/jobs/{there}").json() | {"fine_tuned_model": "ft:" + "x" * 300}
    header = {"content-type": "application/json"}
    path = f"/v1/fine_tuning/jobs/{there}"
    world.sandbox.arm("GET", path, status=200, body=json.dumps(seen), headers=header, times=9)
    step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).failures) == (JobStatus.SUCCEEDED, 0)
    assert deployments_of(job_id) == []
    events = world.person.http.get(f"/fine_tuning/jobs/{job_id}/events").json()["data"]
    assert any("is not deployed" in event["message"] and event["level"] == "warn" for event in events)
