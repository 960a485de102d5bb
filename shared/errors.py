"""The errors that services raise for a caller; `api.http.errors` turns them into HTTP responses."""

from typing import ClassVar


class ServiceError(Exception):
    """`message` tells the caller what was wrong and what to do; `code` is stable; `param` names the field.

    `status` is the HTTP status, `type` the one of OpenAI's error envelope. `retryable` makes OpenAI's SDKs repeat the
    request where the status alone would not.
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
    """Another request with the same `Idempotency-Key` is still being processed."""

    status = 409
    type = "invalid_request_error"
    code = "idempotency_key_in_use"
    retryable = True

    def __init__(self) -> None:
        super().__init__(
            "A request with this Idempotency-Key is still being processed: send this one again in a moment"
        )


class SpendLimitExceeded(ServiceError):
    """The project's budget for this month is spent or reserved. Not retryable: it will not change in minutes."""

    status = 429
    type = "insufficient_quota"
    code = "project_spend_limit_exceeded"


class QuotaExceeded(ServiceError):
    """The project has as much of something as it may keep. Not retryable: something must be deleted, or expire.

    `quota`: its name in `GET /v1/project`. `used` and `limit` count the same. `advice`: what to do.
    """

    status = 429
    type = "insufficient_quota"
    code = "quota_exceeded"

    def __init__(self, quota: str, used: int, limit: int, advice: str) -> None:
        name = quota.replace("_", " ")
        super().__init__(f"The project's quota of {name} is {limit}, and {used} are in use: {advice}", param=quota)


class RateLimited(ServiceError):
    """A rate limit is reached. `retry_after`: seconds until the request may be repeated, if known."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"
    retryable = True

    def __init__(self, message: str, *, retry_after: int | None, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class ChatLimitReached(RateLimited):
    """As many chats of the project, or at the account, are under way as may be at once."""

    code = "too_many_chats"


class DeploymentStarting(RateLimited):
    """The model is deployed, and does not answer yet."""

    code = "deployment_starting"


class JobLimitReached(RateLimited):
    """The project's limit of jobs per day or of open jobs is reached. Not retryable: waiting may take a day."""

    type = "invalid_request_error"
    code = "daily_rate_limit_exceeded"  # OpenAI's code for a fine-tuning job beyond the daily limit
    retryable = False


class TooLarge(ServiceError):
    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class NotImplementedHere(ServiceError):
    """OpenAI's API has this endpoint, but Tunery does not."""

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


class BrokerUnavailable(ServiceError):
    status = 503
    code = "broker_unavailable"
