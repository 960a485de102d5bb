"""What can go wrong in a way that a caller should know of."""

from typing import ClassVar


class ServiceError(Exception):
    """A sentence for the caller: what was wrong, where, and what to do.

    `status` is the HTTP status, `type` and `code` are stable words of OpenAI's error envelope, `param` is the field.
    A `retryable` one asks the SDK to send the request again, where its status alone would not.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    retryable: ClassVar[bool] = False
    code: str = "internal_error"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.param = param


class Invalid(ServiceError):
    status = 400
    type = "invalid_request_error"
    code = "invalid_value"


class Unauthorized(ServiceError):
    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"


class Forbidden(ServiceError):
    status = 403
    type = "invalid_request_error"
    code = "insufficient_permissions"


class NotFound(ServiceError):
    status = 404
    type = "invalid_request_error"
    code = "not_found"


class KeyInUse(ServiceError):
    """A request under the same `Idempotency-Key` is under way."""

    status = 409
    type = "invalid_request_error"
    code = "idempotency_key_in_use"
    retryable = True

    def __init__(self) -> None:
        super().__init__(
            "A request under this Idempotency-Key is being carried out: send this one again in a moment, for its answer"
        )


class SpendLimitExceeded(ServiceError):
    """The project's money for this month is spent, or reserved: to send it again does not help."""

    status = 429
    type = "insufficient_quota"
    code = "project_spend_limit_exceeded"


class RateLimited(ServiceError):
    """Too much in too short a time. It may be sent again in `retry_after` seconds, if that is known."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"
    retryable = True

    def __init__(self, message: str, *, retry_after: int | None, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class JobLimitReached(RateLimited):
    """As many jobs as a project may create in a day, or have open. No client had better wait for that."""

    type = "invalid_request_error"
    code = "daily_rate_limit_exceeded"  # OpenAI's word for a fine-tune that is refused for their number
    retryable = False


class TooLarge(ServiceError):
    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class NotImplementedHere(ServiceError):
    """OpenAI has it, and this deployment has not."""

    status = 501
    type = "invalid_request_error"
    code = "not_implemented"


class StorageUnavailable(ServiceError):
    status = 503
    code = "storage_unavailable"


class ProviderUnavailable(ServiceError):
    status = 502
    type = "server_error"
    code = "provider_unavailable"


class WorkerUnavailable(ServiceError):
    status = 503
    code = "worker_unavailable"
