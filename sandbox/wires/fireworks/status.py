"""Errors as the wire has them: gRPC's number, a sentence, and no details."""

from starlette.responses import Response

from wire_server.answers import answer
from wire_server.errors import ApiError

INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED = 3, 5, 6, 7, 8
FAILED_PRECONDITION, INTERNAL, UNAUTHENTICATED = 9, 13, 16
STATUSES = {
    INVALID_ARGUMENT: 400,
    NOT_FOUND: 404,
    ALREADY_EXISTS: 409,
    PERMISSION_DENIED: 403,
    RESOURCE_EXHAUSTED: 429,
    FAILED_PRECONDITION: 400,
    INTERNAL: 500,
    UNAUTHENTICATED: 401,
}
CODES = {status: code for code, status in reversed(STATUSES.items())}
WORDS = {
    "invalid_training_file": "INVALID_ARGUMENT",
    "invalid_validation_file": "INVALID_ARGUMENT",
    "invalid_n_examples": "INVALID_ARGUMENT",
    "exceeded_quota": "RESOURCE_EXHAUSTED",
}
"""What a job's status says where the engine has this code; `INTERNAL` for any other."""


class StatusError(ApiError):
    def __init__(self, code: int, message: str, status: int | None = None) -> None:
        super().__init__(status or STATUSES[code], message)
        self.code = code

    def response(self) -> Response:
        return answer({"code": self.code, "message": self.error["message"], "details": []}, self.status, self.headers)


def in_its_words(error: ApiError) -> StatusError:
    """What the engine refuses, as the wire says it."""
    code = CODES.get(error.status, INTERNAL)
    return StatusError(code, str(error.error["message"]), error.status)
