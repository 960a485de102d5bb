"""Requests to a job: cancel, pause, resume. The server decides, and the job's next status shows it."""

from cli.api_client import Found
from cli.client.output import print_document
from cli.client.server import connected, tunerys_own
from cli.columns import say


def cancel(job_id: str, *, as_json: bool) -> None:
    with connected() as client:
        job = client.fine_tuning.jobs.cancel(job_id).to_dict()
    _print(job, "cancelled", as_json=as_json)


def pause(job_id: str, *, as_json: bool) -> None:
    with connected() as client:
        client.fine_tuning.jobs.retrieve(job_id)
        with tunerys_own("pause", f"A job can be cancelled: ./tunery jobs cancel {job_id}"):
            job = client.fine_tuning.jobs.pause(job_id).to_dict()
    _print(job, "paused", as_json=as_json)


def resume(job_id: str, *, as_json: bool) -> None:
    with connected() as client:
        client.fine_tuning.jobs.retrieve(job_id)
        with tunerys_own("resume", "Create a job anew: ./tunery jobs create"):
            job = client.fine_tuning.jobs.resume(job_id).to_dict()
    _print(job, "queued", as_json=as_json)


def _print(job: Found, wanted: str, *, as_json: bool) -> None:
    if as_json:
        print_document(job)
    else:
        print(f"{job['id']}  {job['status']}")
    if job["status"] != wanted:
        say(f"The request is taken. Whether it is carried out: ./tunery jobs show {job['id']}")
