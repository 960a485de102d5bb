"""Waits for the end of a job, and shows meanwhile what happens to it."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli.api_client import Found
from cli.client.output import duration, print_line
from cli.client.server import connected
from cli.columns import say
from cli.local.following import FINAL, FollowedJob
from cli.local.screen import Screen

if TYPE_CHECKING:  # the import takes half a second
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

POLL_SECONDS = 1.0
PATIENCE = 300.0  # seconds in which a server that does not answer may come back
DID_NOT_SUCCEED = 3
Show = Callable[["FineTuningJobEvent"], None]


def watch(job_id: str, *, as_json: bool) -> Found:
    """The job, when it has ended. Shows its events, and the curve of its losses, on standard output."""
    with connected() as client:
        if as_json:
            return _follow(FollowedJob(client, job_id), lambda event: print_line(event.to_dict()), print_line)
        return until_ended(client, job_id, Screen(sys.stdout))


def until_ended(client: "OpenAI", job_id: str, screen: Screen) -> Found:
    followed = FollowedJob(client, job_id)
    with screen.training() as training:
        job = _follow(followed, lambda event: followed.show(event, training))
    if len(followed.losses) > 1:
        screen.loss_curve(followed.losses)
    if job["status"] == "succeeded":
        screen.done(ending(job, followed.losses))
    else:
        screen.note(ending(job, followed.losses))
    return job


def ending(job: Found, losses: list[float]) -> str:
    took = f" after {duration(job['finished_at'] - job['created_at'])}" if job.get("finished_at") else ""
    curve = f", training loss {losses[0]:.2f} → {losses[-1]:.2f}" if len(losses) > 1 else ""
    model = f": {job['fine_tuned_model']}" if job.get("fine_tuned_model") else ""
    error = job.get("error") or {}
    reason = f": {error['message'].removesuffix('.')}" if error.get("message") else ""
    return f"{job['status']}{took}{curve}{model or reason}"


def _follow(followed: FollowedJob, show: Show, show_job: Callable[[Found], None] = lambda job: None) -> Found:
    """`show_job` gets the job whenever its status has changed."""
    status = None
    with _said_how_to_go_on(followed.job_id):
        job, news = followed.poll()
        while True:
            for event in news:
                show(event)
            if job.status != status:
                status = job.status
                show_job(job.to_dict())
            if status in FINAL:
                return job.to_dict()
            time.sleep(POLL_SECONDS)
            job, news = _poll(followed)


def _poll(followed: FollowedJob) -> "tuple[FineTuningJob, list[FineTuningJobEvent]]":
    """Goes on asking a server that has answered before and does not now: a job may take hours."""
    from openai import APIConnectionError, InternalServerError, RateLimitError

    lost_at = None
    while True:
        try:
            return followed.poll()
        except (APIConnectionError, InternalServerError, RateLimitError):
            if lost_at is None:
                lost_at = time.monotonic()
                say(f"The server does not answer. It is asked again for up to {PATIENCE / 60:.0f} minutes.")
            elif time.monotonic() - lost_at > PATIENCE:
                raise
        time.sleep(POLL_SECONDS)


@contextmanager
def _said_how_to_go_on(job_id: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        say(f"\nThe job goes on. Watch it again: ./tunery jobs watch {job_id}")
        raise
