"""OpenAI's well-known error answers by name, for the faults' `refusal` and `job_error`."""

from typing import Any, NamedTuple

from wire_server.records import JobError


class Refusal(NamedTuple):
    """An HTTP answer: the status, the four keys of the envelope without `param`, and headers."""

    status: int
    type: str
    code: str | None
    message: str
    headers: dict[str, str]

    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.type, "param": None, "code": self.code}}


def _invalid(status: int, code: str, message: str) -> Refusal:
    return Refusal(status, "invalid_request_error", code, message, {})


REFUSALS = {
    "training_not_available": _invalid(
        403, "training_not_available", "Fine-tuning is being wound down; this organization cannot create training jobs."
    ),
    "file_not_ready": _invalid(400, "file_not_ready", "The training file is not ready yet. Try again in some minutes."),
    "daily_rate_limit_exceeded": _invalid(
        429,
        "daily_rate_limit_exceeded",
        "This fine-tune request has been rate-limited. Your organization has reached the maximum of 8 fine-tuning "
        "requests per day for the model 'gpt-4.1-2025-04-14'.",
    ),
    "insufficient_quota": Refusal(429, "insufficient_quota", "insufficient_quota", "The quota is used up.", {}),
    "rate_limit_exceeded": Refusal(
        429, "requests", "rate_limit_exceeded", "Too many requests a minute.", {"retry-after": "1"}
    ),
    "model_loading": Refusal(429, "invalid_request_error", None, "The model is still being loaded.", {}),
    "server_error": Refusal(500, "server_error", None, "The server had an error while it processed the request.", {}),
    "server_is_overloaded": Refusal(
        503, "service_unavailable_error", "server_is_overloaded", "The servers are overloaded.", {"retry-after": "1"}
    ),
}
"""Answers to an HTTP request, for a fault's `refusal`."""

JOB_ERRORS = {
    "exceeded_quota": JobError(
        code="exceeded_quota", message="The job would cost 12.40 USD, and 3.10 USD remain of the quota."
    ),
    "moderation": JobError(
        code="invalid_training_file",
        message="The job failed due to an invalid training file. This training file was blocked because too many "
        "examples were flagged by our moderation API for containing content in the following categories: hate.",
        param="training_file",
    ),
    "server_error": JobError(code="server_error", message="The job failed due to an internal error."),
}
"""Ends of a job after `validating_files`, for a fault's `job_error`."""
