"""Follows a job by asking for it and its events again and again, and shows what the events tell."""

import math
from typing import TYPE_CHECKING, Any

from cli.columns import printable

if TYPE_CHECKING:  # the import takes half a second
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

    from cli.local.screen import Training

FINAL = ("succeeded", "failed", "cancelled")
EVENTS_A_PAGE = 100


class FollowedJob:
    """A job of any server that speaks OpenAI's wire. `losses` has the training loss of each step that was shown."""

    def __init__(self, client: "OpenAI", job_id: str) -> None:
        self.client = client
        self.job_id = job_id
        self.losses: list[float] = []
        self._seen: set[str] = set()

    def poll(self) -> "tuple[FineTuningJob, list[FineTuningJobEvent]]":
        """The job now, and its events since the last poll, the oldest first.

        The job is asked for before the events, so that none is missed when its status is final.
        """
        job = self.client.fine_tuning.jobs.retrieve(self.job_id)
        return job, self._news()

    def _news(self) -> "list[FineTuningJobEvent]":
        """The wire lists the newest event first."""
        news = []
        for event in self.client.fine_tuning.jobs.list_events(self.job_id, limit=EVENTS_A_PAGE):
            if event.id in self._seen:
                break
            news.append(event)
        self._seen.update(event.id for event in news)  # only now: a page that fails is asked for again
        return news[::-1]

    def show(self, event: "FineTuningJobEvent", training: "Training") -> None:
        data: Any = event.data if isinstance(event.data, dict) else {}
        step, loss, total = data.get("step"), data.get("train_loss"), data.get("total_steps")
        if event.type != "metrics" or not isinstance(step, int) or loss is None or not is_number(loss):
            training.message(printable(event.message))
            return
        self.losses.append(float(loss))
        training.step(step, total if isinstance(total, int) else None, float(loss))


def is_number(value: Any) -> bool:
    """Whether a server's value can be drawn: a diverged training has losses that are not finite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
