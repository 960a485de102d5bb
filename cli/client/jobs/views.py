"""Shows jobs: a list, one with all its fields, its events."""

from collections.abc import Iterator
from typing import Any

from cli.api_client import Found
from cli.client.output import (
    clock,
    duration,
    money,
    print_document,
    print_fields,
    print_list,
    short_time,
)
from cli.client.pages import page_size, take
from cli.client.server import connected
from cli.columns import printable, say

TITLES = ("JOB", "STATUS", "CREATED", "COST", "MODEL")


def list_jobs(
    limit: int, after: str | None, status: str | None, metadata: dict[str, str], *, all: bool, as_json: bool
) -> None:
    with connected() as client:
        given: Any = {"after": after} if after else {}
        found = client.fine_tuning.jobs.list(**given, metadata=metadata or None, limit=page_size(limit, all))
        jobs, has_more = take((job for job in found if status in (None, job.status)), limit, all)
    none = "There are no such jobs. Create one: ./tunery jobs create --file FILE --model MODEL"
    print_list(jobs, has_more, TITLES, [_row(job) for job in jobs], as_json=as_json, none=none)


def _row(job: Found) -> list[str]:
    return [job["id"], job["status"], short_time(job.get("created_at")), _cost(job) or "", job["model"]]


def _cost(job: Found) -> str | None:
    """What it costs, or with a ~ what it will cost."""
    if job.get("cost"):
        return money(job["cost"]["amount"], job["cost"]["currency"])
    if job.get("estimated_cost") and job["status"] not in ("failed", "cancelled"):
        return f"~{money(job['estimated_cost']['amount'], job['estimated_cost']['currency'])}"
    return None


def show(job_id: str, *, as_json: bool) -> None:
    with connected() as client:
        job = client.fine_tuning.jobs.retrieve(job_id).to_dict()
    if as_json:
        print_document(job)
    else:
        print_fields(_fields(job))


def _fields(job: Found) -> Iterator[tuple[str, str | None]]:
    yield "job", job["id"]
    yield "status", _status(job)
    yield "error", _error(job)
    yield "model", job["model"]
    yield "tuned model", job.get("fine_tuned_model")
    yield "created", short_time(job.get("created_at"))
    yield "finished", _finished(job)
    yield "training file", job.get("training_file")
    yield "validation file", job.get("validation_file")
    yield "method", method_of(job)
    yield "hyperparameters", ", ".join(f"{name} {value}" for name, value in hyperparameters_of(job).items())
    yield "suffix", job.get("user_provided_suffix")
    yield "seed", str(job["seed"]) if job.get("seed") is not None else None
    yield "metadata", ", ".join(f"{name}={value}" for name, value in (job.get("metadata") or {}).items())
    yield "trained tokens", f"{job['trained_tokens']:,}" if job.get("trained_tokens") else None
    yield "cost", _cost(job)
    yield "approval", job.get("approval")
    yield "priority", job["priority"] if job.get("priority") not in (None, "normal") else None
    yield "result files", ", ".join(job.get("result_files") or [])
    yield "at the provider", job.get("provider_job_id")


def _status(job: Found) -> str:
    more = []
    if job.get("progress") is not None and job["status"] in ("running", "paused"):
        more.append(f"{job['progress']:.0%}")
    if job.get("check_progress") is not None:
        more.append(f"{job['check_progress']:.0%} of the files' check")
    if job.get("queue_position"):
        more.append(f"position {job['queue_position']} of the queue")
    if job.get("estimated_start"):
        more.append(f"starts about {short_time(job['estimated_start'])}")
    if job.get("estimated_finish") and not job.get("finished_at"):
        more.append(f"ends about {short_time(job['estimated_finish'])}")
    return str(job["status"]) + (f" ({', '.join(more)})" if more else "")


def _error(job: Found) -> str | None:
    error = job.get("error") or {}
    named = [error.get("code"), error.get("message")]
    return ": ".join(str(each) for each in named if each)


def _finished(job: Found) -> str | None:
    end = job.get("finished_at")
    return f"{short_time(end)}, after {duration(end - job['created_at'])}" if end else None


def method_of(job: Found) -> str | None:
    return (job.get("method") or {}).get("type")


def hyperparameters_of(job: Found) -> Found:
    """Those of the method; on servers without methods those of the job."""
    block = (job.get("method") or {}).get(method_of(job) or "") or {}
    found = {**(job.get("hyperparameters") or {}), **(block.get("hyperparameters") or {})}
    return {name: value for name, value in found.items() if value is not None}


def show_events(job_id: str, limit: int, after: str | None, *, all: bool, as_json: bool) -> None:
    """The newest of them, in the order in which they happened."""
    with connected() as client:
        given: Any = {"after": after} if after else {}
        found = client.fine_tuning.jobs.list_events(job_id, **given, limit=page_size(limit, all))
        events, has_more = take(found, limit, all)
    if as_json:
        print_document({"object": "list", "data": events, "has_more": has_more})
        return
    for event in reversed(events):
        level = "" if event["level"] == "info" else f"{event['level']}: "
        print(f"{clock(event['created_at'])}  {level}{printable(event['message'])}")
    if not events:
        say("Nothing has happened to it yet.")
    elif has_more:
        say(f"There are earlier ones: --after {events[-1]['id']}, or --all.")
