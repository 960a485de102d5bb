"""What can go wrong in a way that a caller should know of."""

from typing import ClassVar


class ServiceError(Exception):
    """A sentence for the caller: what was wrong, where, and what to do.

    `status` is the HTTP status, `type` and `code` are stable words of OpenAI's error envelope, `param` is the field.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
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


class TooLarge(ServiceError):
    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


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
