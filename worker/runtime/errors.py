"""The error that a step's call may raise; the step's `record` receives it in place of an answer."""

from datetime import timedelta


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
