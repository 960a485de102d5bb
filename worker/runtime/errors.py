"""What a step may raise: its call a `StepError`, which `record` receives in place of an answer; its plan `NotNow`."""

from datetime import datetime, timedelta

from structlog.contextvars import get_contextvars


class StepError(Exception):
    """A call that failed in a way its step can record.

    `retryable`: the same call may succeed later without a change to the row. `retry_after` is how long the other side
    asked to wait, if it did.
    """

    def __init__(self, message: str, code: str, *, retryable: bool, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after


class NotNow(Exception):
    """Raised by a plan to undo its claim, without counting a failure.

    With `until` the row is due again at that time. Without it the row keeps its `due_at`.
    """

    def __init__(self, until: datetime | None = None) -> None:
        super().__init__(until)
        self.until = until


class LeaseLost(Exception):
    """The lease has run out and another worker may hold the row, so the step must stop: its record would be refused."""


def internal_error(ended: str, id: str) -> str:
    """The sentence for a row that was given up. An operator finds its log lines by the row's and the task's id."""
    task_id = get_contextvars().get("task_id")
    reference = f"{id} (task {task_id})" if task_id else id
    return f"An internal error ended {ended}; the log has the reason. Give your operator the id {reference}"
