"""/v1/organization/projects, with an admin key."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from openai import APIStatusError, NotFoundError, OpenAI, PermissionDeniedError
from sqlalchemy import text

from shared.database import transaction
from shared.db.owned import get_owned
from shared.jobs import service as jobs
from shared.jobs.archiving import archive_project
from shared.jobs.models import Job, JobStatus
from shared.jobs.schemas import JobCreate
from shared.projects import service as projects
from shared.projects.callers import authenticate
from tests.api.training import move, train
from tests.api.wire import facts, send
from tests.worker.support import wait_until_blocked
from tests.world import Person, Sandbox, row, work


def test_an_admin_creates_lists_and_reads_projects(admin: OpenAI) -> None:
    made = [admin.admin.organization.projects.create(name=f"team {number}") for number in range(3)]
    assert admin.admin.organization.projects.retrieve(made[0].id).name == "team 0"
    assert [each.id for each in admin.admin.organization.projects.list(limit=2)] == [each.id for each in made[::-1]]


def test_an_unknown_project_is_not_found(admin: OpenAI) -> None:
    projects = admin.admin.organization.projects
    for ask in (projects.retrieve, projects.archive, lambda id: projects.update(id, name="new")):
        with pytest.raises(NotFoundError):
            ask("proj_none")


def test_a_projects_name_and_queue_share_can_be_changed(admin: OpenAI) -> None:
    project = admin.admin.organization.projects.create(name="team")
    for changes, name, weight, most in [
        ({"name": " new "}, "new", 1.0, None),
        ({"weight": 2.5, "max_active_jobs": 3}, "new", 2.5, 3),
        ({"max_active_jobs": 0}, "new", 2.5, None),
        ({}, "new", 2.5, None),
    ]:
        changed = admin.admin.organization.projects.update(project.id, extra_body=changes)
        assert (changed.name, changed.to_dict()["weight"], changed.to_dict()["max_active_jobs"]) == (name, weight, most)


@pytest.mark.parametrize(
    "body",
    [{"weight": 0}, {"weight": 1e9}, {"max_active_jobs": -1}, {"name": " "}, {"name": "x" * 65}, {"geography": "EU"}],
)
def test_an_invalid_project_is_refused_with_the_field(admin: OpenAI, body: dict[str, object]) -> None:
    project = admin.admin.organization.projects.create(name="team")
    with pytest.raises(APIStatusError) as refused:
        admin.admin.organization.projects.update(project.id, extra_body=body)
    assert (refused.value.status_code, refused.value.param) == (400, next(iter(body)))


def test_an_archived_project_is_listed_only_on_request_and_cannot_be_changed(admin: OpenAI) -> None:
    projects = admin.admin.organization.projects
    gone, there = projects.create(name="gone"), projects.create(name="there")
    archived = projects.archive(gone.id)
    assert (archived.status, bool(archived.archived_at)) == ("archived", True)
    assert projects.archive(gone.id).archived_at == archived.archived_at
    assert [each.id for each in projects.list()] == [there.id]
    assert [each.id for each in projects.list(include_archived=True)] == [there.id, gone.id]
    for change in (
        lambda: projects.update(gone.id, name="back"),
        lambda: projects.service_accounts.create(gone.id, name="ci"),
        lambda: projects.model_permissions.update(gone.id, mode="deny_list", model_ids=[]),
    ):
        with pytest.raises(APIStatusError) as refused:
            change()
        assert facts(refused.value)[:2] == (400, "project_archived")


def test_the_jobs_of_an_archived_project_are_cancelled(alice: Person, sandbox: Sandbox) -> None:
    ended = train(alice, sandbox).id
    running = move(alice, sandbox, alice.create_job(), "running").id
    waiting = alice.create_job()
    with transaction() as session:
        archive_project(session, alice.project_id)
    work(2)
    assert [row(Job, id).status for id in (waiting, running, ended)] == ["cancelled", "cancelled", "succeeded"]
    assert {job.status for job in sandbox.jobs()} == {"cancelled", "succeeded"}


def test_no_job_can_be_created_in_a_project_that_was_just_archived(alice: Person) -> None:
    file_id = alice.upload()
    with transaction() as session:
        archive_project(session, alice.project_id)
    new = f'{{"model": "gpt-4o-mini", "training_file": "{file_id}"}}'.encode()
    answer = send(alice, "POST", "/fine_tuning/jobs", new)  # her key is remembered for a second
    assert (answer.status, answer.error["code"]) in {(400, "project_archived"), (401, "project_archived")}


def end(project_id: str) -> None:
    with transaction() as session:
        archive_project(session, project_id)


def test_archiving_does_not_deadlock_with_a_job_being_recorded(alice: Person) -> None:
    job_id = alice.create_job()
    with ThreadPoolExecutor(1) as pool:
        with transaction() as session:
            job = get_owned(session, Job, job_id, alice.project_id, lock=True)
            other = pool.submit(end, alice.project_id)
            wait_until_blocked(session, other)  # for the job
            jobs.add_event(session, job, "a row of the project")
        other.result()
    assert row(Job, job_id).status is JobStatus.CANCELLED


def test_a_job_created_while_its_project_is_archived_is_cancelled_too(alice: Person) -> None:
    new = JobCreate(model="gpt-4o-mini", training_file=alice.upload())
    with ThreadPoolExecutor(1) as pool:
        with transaction() as session:
            caller = authenticate(session, alice.api_key)
            job_id = jobs.create(session, caller, new).id
            other = pool.submit(end, alice.project_id)
            wait_until_blocked(session, other)  # for who is at work in the project
        other.result()
    assert row(Job, job_id).status is JobStatus.CANCELLED


def test_a_project_can_be_changed_while_jobs_are_created_in_it(alice: Person) -> None:
    with transaction() as session:
        projects.get_active_project(session, alice.project_id)  # as every job does
        with transaction() as other:
            other.execute(text("set local lock_timeout = '1s'"))
            projects.update_project(other, alice.project_id, weight=2)


def test_an_admin_key_cannot_act_for_a_project(admin: OpenAI, clean: str) -> None:
    with (
        OpenAI(base_url=clean, api_key=admin.admin_api_key, max_retries=0) as client,
        pytest.raises(PermissionDeniedError),
    ):
        client.files.list()
