"""Every changing route of the api, called once with success."""

import json
from typing import Any

from openai import OpenAI

from shared.database import transaction
from shared.jobs.models import Approval, Job, JobStatus, TunedModel
from tests.api.audited import post
from tests.api.wire import send
from tests.servers import Receiver
from tests.worker.support import change, running_job, write_event
from tests.world import Person, Sandbox, lines, row, work

MORE_THAN_ONCE = [
    "api_key.created",
    "api_key.deleted",
    "api_key.secret_rotated",
    "api_key.updated",
    "file.created",
    "fine_tuning.job.created",
    "upload.created",
]


def change_everything(alice: Person, admin: OpenAI, sandbox: Sandbox, receiver: Receiver) -> None:
    """Each of the changing routes; some of them, or some that are called the same, more than once."""
    client, hooks = alice.openai, "/webhook_endpoints"
    _change_files(alice)
    job_id, provider_job_id = running_job(alice, sandbox)
    post(alice, f"/fine_tuning/jobs/{job_id}/pause", {})
    sandbox.move(provider_job_id, status="paused")
    work(2)
    for request in ("resume", "cancel"):
        post(alice, f"/fine_tuning/jobs/{job_id}/{request}", {})
    with transaction() as session:
        made: dict[str, Any] = {"project_id": alice.project_id, "job_id": job_id, "base_model": "gpt-4o-mini"}
        credential_id = row(Job, job_id).credential_id
        session.add(TunedModel(**made, credential_id=credential_id, name="ft:gpt-4o-mini:a", due_at=None))
    client.models.delete("ft:gpt-4o-mini:a")
    new = {"name": "ci", "url": receiver.url, "event_types": ["fine_tuning.job.cancelled"]}
    endpoint = post(alice, hooks, new)["id"]
    post(alice, f"{hooks}/{endpoint}", {"name": "cd"})
    post(alice, f"{hooks}/{endpoint}/rotate_secret", {})
    write_event(alice)
    work()
    [delivery] = _get(alice, f"{hooks}/{endpoint}/deliveries")
    post(alice, f"{hooks}/{endpoint}/deliveries/{delivery['id']}/redeliver", {})
    post(alice, f"{hooks}/{endpoint}/recover", {"since": 0})
    assert send(alice, "DELETE", f"{hooks}/{endpoint}").status == 200
    _administer(admin, alice)


def _administer(admin: OpenAI, alice: Person) -> None:
    organization = admin.admin.organization
    projects, accounts, keys = (
        organization.projects,
        organization.projects.service_accounts,
        organization.projects.api_keys,
    )
    project = projects.create(name="new").id
    projects.update(project, name="newer")
    projects.model_permissions.update(project, mode="allow_list", model_ids=["gpt-4o-mini"])
    projects.model_permissions.delete(project)
    projects.rate_limits.update_rate_limit(f"rl-{project}", project_id=project, max_requests_per_1_minute=5)
    account = accounts.create(project, name="ci").id
    accounts.update(account, project_id=project, name="cd")
    key = accounts.api_keys.create(account, project_id=project).id
    operator = Person(str(admin.base_url).rstrip("/"), str(admin.admin_api_key), "")
    path = f"/organization/projects/{project}/api_keys/{key}"
    post(operator, f"/organization/projects/{project}/api_keys", {"name": "of the project"})
    post(operator, path, {"scopes": ["jobs:read"]})
    post(operator, f"{path}/rotate_secret", {})
    keys.delete(key, project_id=project)
    accounts.delete(account, project_id=project)
    made = organization.admin_api_keys.create(name="second").id
    post(operator, f"/organization/admin_api_keys/{made}", {"allowed_networks": ["203.0.113.0/24"]})
    post(operator, f"/organization/admin_api_keys/{made}/rotate_secret", {})
    organization.admin_api_keys.delete(made)
    _judge(alice, operator)
    _spend(operator, f"/organization/projects/{project}")
    projects.archive(project)
    operator.close()


def _spend(operator: Person, path: str) -> None:
    """What is set for a project's money, and taken away again."""
    amount = {"currency": "USD", "interval": "month", "threshold_amount": 500}
    alert = {**amount, "notification_channel": {"type": "email", "recipients": ["alice@example.com"]}}
    post(operator, f"{path}/spend_limit", amount)
    alert_id = post(operator, f"{path}/spend_alerts", alert)["id"]
    post(operator, f"{path}/spend_alerts/{alert_id}", {**alert, "threshold_amount": 400})
    post(operator, f"{path}/approval_limit", {"currency": "USD", "threshold_amount": 500})
    post(operator, f"{path}/ledger", {"amount": "1.50", "currency": "USD", "reason": "rounding"})
    account = {"name": "own", "base_url": "http://127.0.0.1:9/v1", "api_key": "sk-theirs"}
    credential = post(operator, f"{path}/credentials", account)["id"]
    post(operator, f"{path}/credentials/{credential}", {"name": "theirs"})
    assert send(operator, "DELETE", f"{path}/credentials/{credential}").status == 200
    post(operator, f"{path}/email_notifications", {"recipients": ["alice@example.com"]})
    for set_before in (f"spend_alerts/{alert_id}", "spend_limit", "approval_limit", "email_notifications"):
        assert send(operator, "DELETE", f"{path}/{set_before}").status == 200


def _judge(alice: Person, operator: Person) -> None:
    """One job is approved, another one is not."""
    for judgement in ("approve", "reject"):
        job_id = alice.create_job()
        change(Job, job_id, approval=Approval.AWAITED, status=JobStatus.QUEUED, due_at=None)
        post(operator, f"/organization/projects/{alice.project_id}/jobs/{job_id}/{judgement}", {})


def _change_files(alice: Person) -> None:
    client = alice.openai
    file_id = alice.upload()
    client.files.delete(file_id)
    content = lines()
    new: Any = {
        "filename": "a.jsonl",
        "purpose": "fine-tune",
        "bytes": len(content),
        "mime_type": "application/jsonl",
    }
    first, second = (client.uploads.create(**new) for _ in range(2))
    part = client.uploads.parts.create(first.id, data=content)
    client.uploads.complete(first.id, part_ids=[part.id])
    client.uploads.cancel(second.id)
    post(alice, "/datasets", {"examples": [json.loads(line) for line in content.splitlines()]})


def _get(person: Person, path: str) -> Any:
    return send(person, "GET", path).json["data"]
