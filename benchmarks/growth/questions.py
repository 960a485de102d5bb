"""Every list, retrieve, filter, count and cost question of the API, about one project."""

import time
from collections.abc import Iterator
from typing import NamedTuple

DAY = 86_400


class Question(NamedTuple):
    name: str
    path: str
    as_admin: bool = False


class Subject(NamedTuple):
    """Ids that the questions name."""

    project: str
    job: str
    file: str
    whole: str
    model: str
    event: str
    endpoint: str
    delivery: str
    entry: str


def questions(subject: Subject) -> list[Question]:
    return [
        *(Question(*each) for each in _jobs(subject)),
        *(Question(*each) for each in _files(subject)),
        *(Question(*each) for each in _events(subject)),
        *(Question(name, f"/organization{path}", as_admin=True) for name, path in _organization(subject)),
    ]


def _jobs(subject: Subject) -> Iterator[tuple[str, str]]:
    jobs, job = "/fine_tuning/jobs", f"/fine_tuning/jobs/{subject.job}"
    month_ago, year_ago = (int(time.time()) - days * DAY for days in (30, 364))
    yield "jobs", jobs
    yield "jobs, 100", f"{jobs}?limit=100"
    yield "jobs, a later page", f"{jobs}?after={subject.job}"
    yield "jobs by status", f"{jobs}?status=failed"
    yield "jobs by status, none", f"{jobs}?status=running"
    yield "jobs by statuses", f"{jobs}?status=failed&status=cancelled"
    yield "jobs by model, rare", f"{jobs}?model=gpt-4.1-2025-04-14"
    yield "jobs by metadata", f"{jobs}?metadata[team]=team%207"
    yield "jobs by metadata, rare", f"{jobs}?metadata[rare]=true"
    yield "jobs by metadata, two pairs", f"{jobs}?metadata[rare]=true&metadata[team]=team%201"
    yield "jobs by metadata, none", f"{jobs}?metadata[team]=nobody"
    yield "jobs without metadata", f"{jobs}?metadata=null"
    yield "jobs by time", f"{jobs}?created_at[gte]={year_ago}&created_at[lt]={month_ago}"
    yield "jobs by time and status", f"{jobs}?created_at[lt]={month_ago}&status=cancelled"
    yield "job", job
    yield "events of a job", f"{job}/events"
    yield "checkpoints of a job", f"{job}/checkpoints"
    yield "metrics of a job", f"{job}/metrics"
    yield "result.csv of a job", f"{job}/result.csv"
    yield "model limits", "/fine_tuning/model_limits"
    yield "model", f"/models/{subject.model}"
    yield "model, a checkpoint", f"/models/{subject.model}:ckpt-step-8"
    yield "project", "/project"


def _files(subject: Subject) -> Iterator[tuple[str, str]]:
    yield "files", "/files?limit=20"
    yield "files, oldest first", "/files?limit=20&order=asc"
    yield "files by purpose, rare", "/files?limit=20&purpose=evals"
    yield "files by purpose, none", "/files?limit=20&purpose=batch"
    yield "files by name", "/files?filename=train-51.jsonl"
    yield "file", f"/files/{subject.file}"
    yield "datasets", "/datasets"
    yield "dataset", f"/datasets/{subject.file}"
    yield "dataset with parts", f"/datasets/{subject.whole}"
    yield "errors of a dataset", f"/datasets/{subject.file}/errors"
    yield "estimate of a dataset", f"/datasets/{subject.file}/estimate?model=gpt-4o-mini"


def _events(subject: Subject) -> Iterator[tuple[str, str]]:
    endpoint = f"/webhook_endpoints/{subject.endpoint}"
    yield "events", "/webhook_events"
    yield "events by type", "/webhook_events?type=fine_tuning.job.succeeded"
    yield "events by type, rare", "/webhook_events?type=budget.threshold_reached"
    yield "events by type, none", "/webhook_events?type=api_key.expiring"
    yield "events by object", f"/webhook_events?object={subject.job}"
    yield "events by time", f"/webhook_events?until={int(time.time()) - 200 * DAY}"
    yield "event", f"/webhook_events/{subject.event}"
    yield "endpoints", "/webhook_endpoints"
    yield "endpoint", endpoint
    yield "deliveries", f"{endpoint}/deliveries"
    yield "deliveries by status, rare", f"{endpoint}/deliveries?status=failed"
    yield "deliveries by status, none", f"{endpoint}/deliveries?status=pending"
    yield "deliveries by type, rare", f"{endpoint}/deliveries?type=budget.threshold_reached"
    yield "deliveries by type, none", f"{endpoint}/deliveries?type=api_key.expiring"
    yield "deliveries by object", f"{endpoint}/deliveries?object={subject.job}"
    yield "deliveries by time", f"{endpoint}/deliveries?until={int(time.time()) - 200 * DAY}"
    yield "delivery", f"{endpoint}/deliveries/{subject.delivery}"


def _organization(subject: Subject) -> Iterator[tuple[str, str]]:
    project, half_a_year_ago = f"/projects/{subject.project}", int(time.time()) - 179 * DAY
    week_ago, year_ago = int(time.time()) - 6 * DAY, int(time.time()) - 364 * DAY
    yield "all jobs", "/jobs"
    yield "all jobs by status", "/jobs?status=running"
    yield "all jobs by model, rare", "/jobs?model=gpt-4.1-2025-04-14"
    yield "all jobs by metadata, rare", "/jobs?metadata[rare]=true"
    yield "all jobs without metadata", "/jobs?metadata=null"
    yield "all jobs by project and status", f"/jobs?project_id={subject.project}&status=paused"
    yield "all files", "/files"
    yield "all files by status, none", "/files?status=error"
    yield "all files by purpose, rare", "/files?purpose=evals"
    yield "all files by name", "/files?filename=train-51.jsonl"
    yield "all endpoints", "/webhook_endpoints"
    yield "queues", "/queues"
    yield "failures", "/failures"
    yield "failures of jobs", "/failures?kind=job"
    yield "failures of files", "/failures?kind=file"
    yield "failures of deliveries", "/failures?kind=webhook_delivery"
    yield "failures of a project", f"/failures?project_id={subject.project}"
    yield "audit", "/audit_logs"
    yield "audit by type, rare", "/audit_logs?event_types[]=spend_limit.deleted"
    yield "audit by type, none", "/audit_logs?event_types[]=project.archived"
    yield "audit by actor, rare", "/audit_logs?actor_ids[]=operator"
    yield "audit by actor, none", "/audit_logs?actor_ids[]=key_nobody"
    yield "audit by resource", f"/audit_logs?resource_ids[]={subject.job}"
    yield "audit by project and type", f"/audit_logs?project_ids[]={subject.project}&event_types[]=project.archived"
    yield "costs of a week", f"/costs?start_time={week_ago}"
    yield "costs of half a year", f"/costs?start_time={half_a_year_ago}&limit=180"
    yield "costs of half a year, by item", f"/costs?start_time={half_a_year_ago}&limit=180&group_by[]=line_item"
    yield "costs of a project", f"/costs?start_time={week_ago}&project_ids[]={subject.project}"
    yield "usage of the month", f"{project}/usage"
    yield "usage of a year", f"{project}/usage?start_time={year_ago}"
    yield "spend limit", f"{project}/spend_limit"
    yield "ledger", f"{project}/ledger"
    yield "ledger, a later page", f"{project}/ledger?after={subject.entry}"
    yield "ledger of a job", f"{project}/ledger?job_id={subject.job}"
    yield "approvals", f"{project}/jobs?approval=awaited"
    yield "approvals, rare", f"{project}/jobs?approval=approved"
    yield "sent e-mail", f"{project}/email_notifications/sent"
